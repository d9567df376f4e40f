-- Dialers that are alive, and the lanes that all dials go through.

-- Who dials at this moment: one row a process, beaten every second. What a dialer that stopped beating has in hand goes
-- back to the others within seconds, however long its leases last.
create table public.dialers (
  -- unique for each start of a process: a name that comes back after a restart would keep the dead one's claims alive
  name text primary key,
  beat_at timestamptz not null default clock_timestamp(),
  started_at timestamptz not null default clock_timestamp()
);
alter table public.dialers enable row level security;
revoke all on public.dialers from anon, authenticated;
grant all on public.dialers to service_role;

-- What is paced and limited, whoever dials through it: 'trunk:<id>', 'carrier:<name>' (the account there) or
-- 'number:<id>'. A lane without a row has no limits of its own.
create table public.lanes (
  org_id uuid not null references public.organizations (id) on delete cascade,
  key text not null check (key ~ '^(trunk:[0-9a-f-]{36}|number:[0-9a-f-]{36}|carrier:[a-z]+)$'),
  calls_per_second numeric(8, 3) check (calls_per_second > 0),
  max_concurrent int check (max_concurrent > 0),
  -- no dial through this lane before this instant: how calls per second hold across dialers and restarts
  next_dial_at timestamptz not null default '-infinity',
  created_at timestamptz not null default now(),
  primary key (org_id, key)
);
select private.protect_table('lanes', 'viewer', 'admin', 'admin', 'admin');

-- What dialers have in hand, by dialer: small however many attempts are open.
create index attempts_in_hand on public.attempts (dialer) where status in ('claimed', 'dialing');
