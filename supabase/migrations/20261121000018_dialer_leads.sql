-- How many seconds before their time a dialer takes its slots. One that is slow takes them long before; the others look as
-- far ahead as the slowest, or all that is left for them would be behind what they look at.
alter table public.dialers add column lead_seconds double precision not null default 0 check (lead_seconds >= 0);
