-- What came of a campaign: its events, counts that stay cheap, and webhooks with their deliveries.

-- One row for each thing that happened to a campaign or to an attempt of it. Read like call_events: by (tx, id), below
-- the oldest transaction still running. Nobody is notified: a stream looks every second.
create table public.campaign_events (
  id bigint generated always as identity primary key,
  tx xid8 not null default pg_current_xact_id(),
  org_id uuid not null,
  campaign_id uuid not null,
  -- no foreign keys: thousands a second are written, and each would lock the campaign's row that all dialers share;
  -- what a deleted campaign leaves is removed by private.forget_campaign
  attempt_id uuid,
  contact_id uuid,
  kind text not null,
  data jsonb not null default '{}',
  at timestamptz not null default clock_timestamp()
);
create index campaign_events_stream on public.campaign_events (campaign_id, tx, id);
create index campaign_events_old on public.campaign_events (at);
select private.protect_table('campaign_events', 'viewer', null, null, null);

-- Counts of contacts and attempts: the sum over a campaign's rows, exact at every instant. Each statement that changes
-- contacts or attempts appends what it changed, so writers never wait for each other; `fold_counts` merges rows now and
-- then. So progress costs the same at ten contacts and at ten million.
create table public.campaign_counts (
  id bigint generated always as identity primary key,
  org_id uuid not null,
  campaign_id uuid not null,
  -- contacts | attempts
  what text not null check (what in ('contacts', 'attempts')),
  status text not null,
  disposition text,
  -- attempts: whether the request went, or may have gone, out
  dialed boolean not null default false,
  count bigint not null,
  created_at timestamptz not null default now()
);
create index campaign_counts_campaign on public.campaign_counts (campaign_id);
-- Rows live for seconds.
alter table public.campaign_counts set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
select private.protect_table('campaign_counts', 'viewer', null, null, null);

create function private.count_contacts() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'INSERT' then
    insert into public.campaign_counts (org_id, campaign_id, what, status, disposition, count)
    select n.org_id, n.campaign_id, 'contacts', n.status, n.disposition, count(*) from changed_to n
    group by n.org_id, n.campaign_id, n.status, n.disposition;
  elsif tg_op = 'DELETE' then
    -- A campaign that is deleted takes its contacts with it, and its counts.
    insert into public.campaign_counts (org_id, campaign_id, what, status, disposition, count)
    select o.org_id, o.campaign_id, 'contacts', o.status, o.disposition, -count(*) from changed_from o
    where exists (select from public.campaigns c where c.id = o.campaign_id)
    group by o.org_id, o.campaign_id, o.status, o.disposition;
  else
    insert into public.campaign_counts (org_id, campaign_id, what, status, disposition, count)
    select d.org_id, d.campaign_id, 'contacts', d.status, d.disposition, sum(d.n) from (
      select n.org_id, n.campaign_id, n.status, n.disposition, 1 as n from changed_to n
      union all
      select o.org_id, o.campaign_id, o.status, o.disposition, -1 from changed_from o
    ) d group by d.org_id, d.campaign_id, d.status, d.disposition having sum(d.n) <> 0;
  end if;
  return null;
end $$;

create trigger contacts_counted_insert after insert on public.contacts referencing new table as changed_to
  for each statement execute function private.count_contacts();
create trigger contacts_counted_update after update on public.contacts
  referencing old table as changed_from new table as changed_to
  for each statement execute function private.count_contacts();
create trigger contacts_counted_delete after delete on public.contacts referencing old table as changed_from
  for each statement execute function private.count_contacts();

-- Of attempts only those that are over: the open ones are few, and counted from their index.
create function private.count_attempts() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'INSERT' then
    insert into public.campaign_counts (org_id, campaign_id, what, status, disposition, dialed, count)
    select n.org_id, n.campaign_id, 'attempts', n.status, n.disposition, n.dialed_at is not null, count(*)
    from changed_to n where n.status in ('settled', 'released')
    group by n.org_id, n.campaign_id, n.status, n.disposition, n.dialed_at is not null;
  elsif tg_op = 'DELETE' then
    insert into public.campaign_counts (org_id, campaign_id, what, status, disposition, dialed, count)
    select o.org_id, o.campaign_id, 'attempts', o.status, o.disposition, o.dialed_at is not null, -count(*)
    from changed_from o
    where o.status in ('settled', 'released') and exists (select from public.campaigns c where c.id = o.campaign_id)
    group by o.org_id, o.campaign_id, o.status, o.disposition, o.dialed_at is not null;
  else
    insert into public.campaign_counts (org_id, campaign_id, what, status, disposition, dialed, count)
    select d.org_id, d.campaign_id, 'attempts', d.status, d.disposition, d.dialed, sum(d.n) from (
      select n.org_id, n.campaign_id, n.status, n.disposition, n.dialed_at is not null as dialed, 1 as n
      from changed_to n where n.status in ('settled', 'released')
      union all
      select o.org_id, o.campaign_id, o.status, o.disposition, o.dialed_at is not null, -1
      from changed_from o where o.status in ('settled', 'released')
    ) d group by d.org_id, d.campaign_id, d.status, d.disposition, d.dialed having sum(d.n) <> 0;
  end if;
  return null;
end $$;

create trigger attempts_counted_insert after insert on public.attempts referencing new table as changed_to
  for each statement execute function private.count_attempts();
create trigger attempts_counted_update after update on public.attempts
  referencing old table as changed_from new table as changed_to
  for each statement execute function private.count_attempts();
create trigger attempts_counted_delete after delete on public.attempts referencing old table as changed_from
  for each statement execute function private.count_attempts();

insert into public.campaign_counts (org_id, campaign_id, what, status, disposition, count)
select org_id, campaign_id, 'contacts', status, disposition, count(*) from public.contacts group by 1, 2, 4, 5;
insert into public.campaign_counts (org_id, campaign_id, what, status, disposition, dialed, count)
select org_id, campaign_id, 'attempts', status, disposition, dialed_at is not null, count(*)
from public.attempts where status in ('settled', 'released') group by 1, 2, 4, 5, 6;

-- What the counts were at instants ten seconds apart, a minute apart after an hour: how fast it goes, and how it went.
create table public.campaign_samples (
  org_id uuid not null,
  campaign_id uuid not null,
  at timestamptz not null,
  -- attempts whose request may have gone out, and those of them that somebody or something answered
  dialed bigint not null,
  answered bigint not null,
  -- contacts that are over, and those that are not
  finished bigint not null,
  remaining bigint not null,
  primary key (campaign_id, at),
  foreign key (org_id, campaign_id) references public.campaigns (org_id, id) on delete cascade
);
select private.protect_table('campaign_samples', 'viewer', null, null, null);

create function private.forget_campaign() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  delete from public.campaign_counts where campaign_id = old.id;
  delete from public.campaign_events where campaign_id = old.id;
  return null;
end $$;
create trigger campaigns_forget after delete on public.campaigns
  for each row execute function private.forget_campaign();

-- Whoever changes a campaign's status, it is told.
create function private.tell_campaign_status() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.campaign_events (org_id, campaign_id, kind, data)
  values (new.org_id, new.id,
          case new.status
            when 'running' then case when old.status = 'paused' then 'campaign.resumed' else 'campaign.started' end
            else 'campaign.' || new.status
          end,
          jsonb_strip_nulls(jsonb_build_object('from', old.status, 'status', new.status, 'reason', new.pause_reason)));
  return null;
end $$;
create trigger campaigns_tell_status after update of status on public.campaigns
  for each row when (old.status is distinct from new.status) execute function private.tell_campaign_status();

create table public.webhook_endpoints (
  id uuid primary key,
  org_id uuid not null references public.organizations (id) on delete cascade,
  -- only the events of this campaign; null: of all
  campaign_id uuid,
  url text not null check (url ~ '^https?://'),
  description text not null default '',
  -- kinds that are sent; empty: every one
  events text[] not null default '{}',
  secret_sealed bytea not null,
  enabled boolean not null default true,
  disabled_reason text,
  created_at timestamptz not null default now(),
  unique (org_id, id),
  foreign key (org_id, campaign_id) references public.campaigns (org_id, id) on delete cascade
);
create index webhook_endpoints_enabled on public.webhook_endpoints (org_id) where enabled;
select private.protect_table('webhook_endpoints', 'admin', 'admin', 'admin', 'admin');
-- Secrets are written, never read back.
revoke select on public.webhook_endpoints from authenticated;
grant select (id, org_id, campaign_id, url, description, events, enabled, disabled_reason, created_at)
  on public.webhook_endpoints to authenticated;

-- The outbox and the log of deliveries. A row is written in the transaction of its event, so an event that is
-- committed is delivered, and one that is not is not.
create table public.webhook_deliveries (
  id uuid primary key default gen_random_uuid(),
  org_id uuid not null,
  endpoint_id uuid not null,
  -- null: of a test
  event_id bigint,
  campaign_id uuid,
  attempt_id uuid,
  kind text not null,
  data jsonb not null,
  at timestamptz not null,
  -- as it was first sent: a retry sends the same bytes
  body text,
  status text not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
  tries int not null default 0,
  -- not before; while someone sends it, when it counts as lost
  next_at timestamptz not null default now(),
  last_status int,
  last_error text,
  last_try_at timestamptz,
  last_milliseconds int,
  delivered_at timestamptz,
  created_at timestamptz not null default now(),
  foreign key (org_id, endpoint_id) references public.webhook_endpoints (org_id, id) on delete cascade
);
create index webhook_deliveries_due on public.webhook_deliveries (endpoint_id, next_at) where status = 'pending';
create index webhook_deliveries_newest on public.webhook_deliveries (endpoint_id, created_at desc, id desc);
create index webhook_deliveries_old on public.webhook_deliveries (created_at) where status <> 'pending';
select private.protect_table('webhook_deliveries', 'admin', null, 'admin', null);

create function private.queue_webhooks() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.webhook_deliveries (org_id, endpoint_id, event_id, campaign_id, attempt_id, kind, data, at)
  select n.org_id, e.id, n.id, n.campaign_id, n.attempt_id, n.kind, n.data, n.at
  from told n join public.webhook_endpoints e on e.org_id = n.org_id
  where e.enabled and (e.campaign_id is null or e.campaign_id = n.campaign_id)
    and (cardinality(e.events) = 0 or n.kind = any(e.events));
  return null;
end $$;
create trigger campaign_events_queue_webhooks after insert on public.campaign_events referencing new table as told
  for each statement execute function private.queue_webhooks();

-- So that a copy kept elsewhere can be told from a forged one.
alter table public.recordings add column sha256 text check (sha256 ~ '^[0-9a-f]{64}$');
