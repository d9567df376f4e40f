-- A campaign's life from draft to finished, and what happens by itself at its time.

alter table public.campaigns
  drop constraint campaigns_status_check,
  -- scheduled: started, and runs from starts_at on
  add constraint campaigns_status_check check (status in ('draft', 'scheduled', 'running', 'paused', 'finished')),
  -- list: many contacts | call: one call at a time that somebody asked for
  add column kind text not null default 'list' check (kind in ('list', 'call')),
  -- dialing: only its first dials, until they are judged; null: it has no canary
  add column canary_status text check (canary_status in ('dialing', 'passed', 'stopped')),
  -- the canary and the breaker judge what happened since
  add column resumed_at timestamptz,
  -- false: runs on without contacts, because more are added to it
  add column ends_when_done boolean not null default true,
  -- done: nobody left to call | deadline | stopped: by somebody
  add column finish_reason text check (finish_reason in ('done', 'deadline', 'stopped')),
  -- the Idempotency-Key of the request that made it, and the hash of that request
  add column request_key text check (length(request_key) between 1 and 255),
  add column request_hash bytea;
create unique index campaigns_request_key on public.campaigns (org_id, request_key) where request_key is not null;
create index campaigns_watched on public.campaigns (id) where status in ('scheduled', 'running', 'paused');
create index campaigns_parent on public.campaigns (parent_id) where parent_id is not null;

create table public.schedules (
  id uuid primary key,
  org_id uuid not null references public.organizations (id) on delete cascade,
  name text not null check (name <> ''),
  campaign_id uuid not null,
  -- copy: a new campaign like it, with all of its contacts | redial: with those it did not reach | start | pause: itself
  action text not null default 'copy' check (action in ('copy', 'redial', 'start', 'pause')),
  -- five fields, by the clocks of the zone (IANA)
  cron text not null,
  time_zone text not null,
  -- what becomes of times that passed while no dialer ran
  missed text not null default 'once' check (missed in ('skip', 'once', 'all')),
  enabled boolean not null default true,
  -- null: never again
  next_at timestamptz,
  ends_at timestamptz,
  created_at timestamptz not null default now(),
  unique (org_id, id),
  foreign key (org_id, campaign_id) references public.campaigns (org_id, id) on delete cascade
);
create index schedules_due on public.schedules (next_at) where enabled and next_at is not null;
create index schedules_org on public.schedules (org_id, created_at, id);
create index schedules_campaign on public.schedules (org_id, campaign_id);

-- What came of each time of a schedule: one row a time, so that it happens once whoever's clock strikes.
create table public.schedule_runs (
  id uuid primary key,
  org_id uuid not null,
  schedule_id uuid not null,
  planned_at timestamptz not null,
  outcome text not null check (outcome in ('done', 'skipped', 'failed')),
  detail text not null default '',
  -- the campaign that was made, started or paused
  campaign_id uuid,
  created_at timestamptz not null default now(),
  unique (schedule_id, planned_at),
  foreign key (org_id, schedule_id) references public.schedules (org_id, id) on delete cascade,
  foreign key (org_id, campaign_id) references public.campaigns (org_id, id) on delete cascade
);
create index schedule_runs_campaign on public.schedule_runs (org_id, campaign_id);

select private.protect_table('schedules', 'viewer', 'supervisor', 'supervisor', 'supervisor');
select private.protect_table('schedule_runs', 'viewer', null, null, null);
