-- What we own on the phone network, the teams that answer, and calls.
-- Tenant rows refer to each other by (org_id, id): a row can never point into another organization.

create table public.trunks (
  id uuid primary key,
  org_id uuid not null references public.organizations (id) on delete cascade,
  name text not null,
  direction text not null check (direction in ('inbound', 'outbound')),
  -- inbound: addresses (CIDR) that may call; outbound: host[:port] that we dial through
  allowed_addresses text[] not null default '{}',
  address text,
  username text,
  password_sealed bytea,
  livekit_trunk_id text,
  created_at timestamptz not null default now(),
  unique (org_id, id),
  unique (org_id, name),
  check (direction = 'inbound' or address is not null)
);

create table public.numbers (
  id uuid primary key,
  org_id uuid not null references public.organizations (id) on delete cascade,
  e164 text not null unique check (e164 ~ '^\+[1-9][0-9]{6,14}$'),
  name text not null default '',
  carrier text not null check (carrier in ('sip', 'twilio', 'plivo')),
  trunk_id uuid,
  created_at timestamptz not null default now(),
  unique (org_id, id),
  foreign key (org_id, trunk_id) references public.trunks (org_id, id)
);

create table public.teams (
  id uuid primary key,
  org_id uuid not null references public.organizations (id) on delete cascade,
  slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  name text not null,
  created_at timestamptz not null default now(),
  unique (org_id, id),
  unique (org_id, slug)
);

create table public.team_versions (
  id uuid primary key,
  org_id uuid not null,
  team_id uuid not null,
  version int not null check (version > 0),
  status text not null check (status in ('draft', 'published', 'archived')),
  -- the validated TeamDefinition; source: the file as it was pushed
  definition jsonb not null,
  source text not null,
  created_at timestamptz not null default now(),
  published_at timestamptz,
  unique (org_id, id),
  unique (team_id, version),
  foreign key (org_id, team_id) references public.teams (org_id, id) on delete cascade
);
create unique index team_versions_one_published on public.team_versions (team_id) where status = 'published';

create table public.routes (
  id uuid primary key,
  org_id uuid not null references public.organizations (id) on delete cascade,
  number_id uuid not null unique,
  kind text not null default 'team' check (kind in ('team')),
  team_id uuid not null,
  created_at timestamptz not null default now(),
  foreign key (org_id, number_id) references public.numbers (org_id, id) on delete cascade,
  foreign key (org_id, team_id) references public.teams (org_id, id)
);

create table public.calls (
  id uuid primary key,
  org_id uuid not null references public.organizations (id) on delete cascade,
  channel text not null check (channel in ('phone', 'web')),
  direction text not null check (direction in ('inbound', 'outbound')),
  status text not null check (status in
    ('queued', 'ringing', 'in-progress', 'completed', 'busy', 'no-answer', 'failed', 'canceled')),
  room_name text not null unique,
  carrier text check (carrier in ('sip', 'twilio', 'plivo')),
  -- the carrier's own words, kept beside ours
  carrier_call_id text,
  carrier_status text,
  sip_code int,
  from_number text,
  to_number text,
  number_id uuid,
  team_version_id uuid,
  -- set by the campaign engine; no foreign key, because telephony does not know campaigns
  attempt_id uuid unique,
  -- what the agent knows about the one it talks to (a contact's columns)
  variables jsonb not null default '{}',
  -- what the conversation left behind: {"disposition": …, "details": {…}}; read by whoever placed the call
  hint jsonb not null default '{}',
  end_result text check (end_result in
    ('completed', 'busy', 'no-answer', 'rejected', 'failed', 'canceled', 'indeterminate')),
  end_reason text,
  end_at_fault text check (end_at_fault in ('nobody', 'caller', 'callee', 'carrier', 'us')),
  -- how often a lost agent was replaced while the call went on
  rescues int not null default 0,
  created_at timestamptz not null default now(),
  -- outbound: when the one request to the carrier went out; set before it does, so that it never goes out twice
  dialed_at timestamptz,
  ringing_at timestamptz,
  answered_at timestamptz,
  ended_at timestamptz,
  unique (org_id, id),
  foreign key (org_id, number_id) references public.numbers (org_id, id),
  foreign key (org_id, team_version_id) references public.team_versions (org_id, id),
  check ((ended_at is null) = (end_result is null)),
  check ((ended_at is null) = (status in ('queued', 'ringing', 'in-progress')))
);
create unique index calls_carrier_call_id on public.calls (carrier, carrier_call_id) where carrier_call_id is not null;
create index calls_newest on public.calls (org_id, created_at desc, id desc);
create index calls_open on public.calls (created_at) where ended_at is null;

create table public.legs (
  id uuid primary key,
  org_id uuid not null,
  call_id uuid not null,
  kind text not null check (kind in ('sip', 'stream', 'web', 'agent', 'operator', 'supervisor')),
  identity text not null,
  joined_at timestamptz not null default now(),
  -- an agent's heartbeat: LiveKit takes some 20 s to notice that a killed process left
  seen_at timestamptz,
  left_at timestamptz,
  foreign key (org_id, call_id) references public.calls (org_id, id) on delete cascade
);
create unique index legs_open on public.legs (call_id, identity) where left_at is null;
create index legs_call on public.legs (call_id);

create table public.call_events (
  id bigint generated always as identity primary key,
  -- Ids are given out before commit, so a smaller one may appear later. Readers page by (tx, id) and stop below
  -- the oldest transaction still running: nothing is ever skipped.
  tx xid8 not null default pg_current_xact_id(),
  org_id uuid not null,
  call_id uuid not null,
  kind text not null,
  data jsonb not null default '{}',
  at timestamptz not null default clock_timestamp(),
  foreign key (org_id, call_id) references public.calls (org_id, id) on delete cascade
);
create index call_events_stream on public.call_events (org_id, tx, id);
create index call_events_call on public.call_events (call_id, id);

create function private.notify_call_event() returns trigger language plpgsql as $$
begin
  perform pg_notify('call_events', new.org_id::text);
  return null;
end $$;
create trigger call_events_notify after insert on public.call_events
  for each row execute function private.notify_call_event();

create table public.turns (
  id uuid primary key,
  org_id uuid not null,
  call_id uuid not null,
  -- who spoke: the person, an agent (its name in `agent`), or a tool's result
  role text not null check (role in ('person', 'agent', 'tool')),
  agent text,
  text text not null,
  -- a tool's name, arguments and outcome
  tool jsonb,
  interrupted boolean not null default false,
  -- milliseconds: {"end_of_turn": …, "model": …, "speech": …, "reply": …}
  latency_ms jsonb not null default '{}',
  started_at timestamptz not null,
  ended_at timestamptz,
  foreign key (org_id, call_id) references public.calls (org_id, id) on delete cascade
);
create index turns_call on public.turns (call_id, started_at, id);

create table public.recordings (
  id uuid primary key,
  org_id uuid not null,
  call_id uuid not null,
  -- relative to the recordings folder or bucket
  path text not null,
  format text not null check (format in ('wav', 'ogg')),
  channels int not null,
  sample_rate int not null,
  duration_seconds double precision,
  started_at timestamptz not null,
  finished_at timestamptz,
  foreign key (org_id, call_id) references public.calls (org_id, id) on delete cascade
);
create index recordings_call on public.recordings (call_id);
