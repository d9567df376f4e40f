-- A slot is held by a call, not by our not knowing.

-- Since when the carrier says that it has no such call. While the attempt is uncertain its contact is not dialed again
-- for the request's time and the grace; but from this instant it takes no call's place under any concurrency limit.
alter table public.attempts add column absent_at timestamptz;
