-- The people who take the calls of progressive and predictive campaigns, and what became of the calls that people
-- answered there.

create table public.operators (
  id uuid primary key,
  org_id uuid not null references public.organizations (id) on delete cascade,
  name text not null check (name <> ''),
  -- the member who alone may act as this operator; null: whoever has a key of the organization
  user_id uuid,
  state text not null default 'offline' check (state in ('offline', 'available', 'reserved', 'on_call', 'wrap_up')),
  since timestamptz not null default clock_timestamp(),
  -- the last sign of life of their screen
  beat_at timestamptz not null default '-infinity',
  -- whose calls they take; null: every campaign's
  campaigns uuid[],
  -- the call that is theirs; while they write it up, the one they had
  call_id uuid,
  wrap_up_seconds int not null default 15 check (wrap_up_seconds between 0 and 3600),
  -- calls that were theirs and that they did not join
  missed int not null default 0,
  created_at timestamptz not null default now(),
  unique (org_id, id),
  unique (org_id, name),
  unique (org_id, user_id),
  foreign key (org_id, user_id) references public.members (org_id, user_id) on delete cascade
);
create unique index operators_call on public.operators (call_id) where state in ('reserved', 'on_call');
select private.protect_table('operators', 'viewer', 'operator', 'operator', 'supervisor');

-- One row for each call of such a campaign that was answered: who had it, or that nobody was there. No foreign key to
-- the call: whoever deletes calls leaves the count of abandoned ones as it is.
create table public.floor_calls (
  call_id uuid primary key,
  org_id uuid not null,
  campaign_id uuid not null,
  operator_id uuid,
  -- waiting: nobody is theirs yet | reserved: an operator is on the way in | connected | abandoned: nobody was there in
  -- time | gone: they hung up before that | machine
  outcome text not null check (outcome in ('waiting', 'reserved', 'connected', 'abandoned', 'gone', 'machine')),
  ring_seconds real not null default 0,
  answered_at timestamptz not null default clock_timestamp(),
  connected_at timestamptz,
  ended_at timestamptz,
  foreign key (org_id, campaign_id) references public.campaigns (org_id, id) on delete cascade,
  foreign key (org_id, operator_id) references public.operators (org_id, id) on delete set null (operator_id)
);
-- The newest answers of a campaign, by which predictive dialing steers.
create index floor_calls_newest on public.floor_calls (campaign_id, answered_at desc);
create index floor_calls_open on public.floor_calls (call_id) where ended_at is null;
select private.protect_table('floor_calls', 'viewer', null, null, null);

-- What the 3 % are counted from: calls that people answered, and those of them that were abandoned, by UTC day.
create table public.floor_days (
  org_id uuid not null,
  campaign_id uuid not null,
  day date not null,
  answered int not null default 0,
  abandoned int not null default 0,
  primary key (campaign_id, day),
  foreign key (org_id, campaign_id) references public.campaigns (org_id, id) on delete cascade
);
select private.protect_table('floor_days', 'viewer', null, null, null);
