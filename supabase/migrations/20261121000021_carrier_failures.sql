-- A dial that the carrier did not take: it answered with an error of its own, with nothing, or could not be reached. The
-- attempt may be released or still uncertain; breaker and canary count it as failed unless the call turned up after all.
-- A carrier that asks for fewer requests (429) has not failed.
alter table public.attempts add column carrier_failed boolean not null default false;
