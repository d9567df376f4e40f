-- How often a number was dialed, whichever campaign and contact it was for: what the caps on a number count.
create index attempts_phone on public.attempts (org_id, phone, dialed_at) where dialed_at is not null;
