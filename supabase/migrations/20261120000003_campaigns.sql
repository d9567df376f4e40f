-- Who to call, when, and what came of it.

create table public.campaigns (
  id uuid primary key,
  org_id uuid not null references public.organizations (id) on delete cascade,
  name text not null check (name <> ''),
  team_id uuid not null,
  -- the caller ID: a number that we own
  from_number_id uuid not null,
  status text not null default 'draft' check (status in ('draft', 'running', 'paused', 'finished')),
  max_concurrent int not null default 5 check (max_concurrent > 0),
  calls_per_second numeric(8, 3) not null default 1 check (calls_per_second > 0),
  -- {"max_attempts": 3, "delay_seconds": {"busy": 300, "no-answer": 1800, …}}
  retry jsonb not null default '{}',
  ring_timeout_seconds int not null default 30 check (ring_timeout_seconds between 15 and 120),
  -- no dial of this campaign before this instant: how calls per second hold across dialers and restarts
  next_dial_at timestamptz not null default '-infinity',
  -- {"rows": …, "accepted": …, "rejected": …, "duplicates": …, "errors": [{"line": …, "column": …, "reason": …}]}
  import_report jsonb not null default '{}',
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  unique (org_id, id),
  foreign key (org_id, team_id) references public.teams (org_id, id),
  foreign key (org_id, from_number_id) references public.numbers (org_id, id)
);
create index campaigns_running on public.campaigns (id) where status = 'running';

create table public.contacts (
  id uuid primary key,
  org_id uuid not null,
  campaign_id uuid not null,
  -- the line of the file it came from (the header is line 1)
  line int,
  phone text not null check (phone ~ '^\+[1-9][0-9]{6,14}$'),
  name text,
  variables jsonb not null default '{}',
  status text not null default 'waiting' check (status in ('waiting', 'in-flight', 'finished', 'blocked')),
  due_at timestamptz not null default now(),
  attempts_made int not null default 0,
  disposition text,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  unique (org_id, id),
  unique (campaign_id, phone),
  foreign key (org_id, campaign_id) references public.campaigns (org_id, id) on delete cascade
);
create index contacts_due on public.contacts (campaign_id, due_at, id) where status = 'waiting';

create table public.attempts (
  id uuid primary key,
  org_id uuid not null,
  campaign_id uuid not null,
  contact_id uuid not null,
  ordinal int not null check (ordinal > 0),
  -- claimed: ours, nothing dialed | dialing: the intent is committed, the request may be out | placed: the carrier
  -- has it | uncertain: unknown whether the carrier has it | settled: over | released: given up before any dial
  status text not null check (status in ('claimed', 'dialing', 'placed', 'uncertain', 'settled', 'released')),
  -- who works on it and until when; every write of a dialer names its fence, so a stale one changes nothing
  dialer text not null,
  fence bigint not null,
  lease_until timestamptz not null,
  call_id uuid,
  disposition text,
  detail text,
  claimed_at timestamptz not null default now(),
  dialed_at timestamptz,
  settled_at timestamptz,
  foreign key (org_id, campaign_id) references public.campaigns (org_id, id) on delete cascade,
  foreign key (org_id, contact_id) references public.contacts (org_id, id) on delete cascade,
  foreign key (org_id, call_id) references public.calls (org_id, id)
);
create sequence public.attempt_fences;
-- One try at a time: two dialers can never both hold an open attempt for a contact.
create unique index attempts_one_open on public.attempts (contact_id)
  where status in ('claimed', 'dialing', 'placed', 'uncertain');
create index attempts_open on public.attempts (campaign_id, status, lease_until)
  where status in ('claimed', 'dialing', 'placed', 'uncertain');
create index attempts_campaign on public.attempts (campaign_id, claimed_at, id);
create index attempts_call on public.attempts (call_id);
create index attempts_contact on public.attempts (contact_id, claimed_at);

create table public.do_not_call (
  id uuid primary key,
  org_id uuid not null references public.organizations (id) on delete cascade,
  phone text not null check (phone ~ '^\+[1-9][0-9]{6,14}$'),
  reason text not null default '',
  created_at timestamptz not null default now(),
  unique (org_id, phone)
);
