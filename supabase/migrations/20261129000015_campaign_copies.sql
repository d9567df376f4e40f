-- Contacts on their way from one campaign into a draft like it, a page a transaction. While a campaign has a row here it
-- has not all of its contacts, and is not started; whoever finds one whose lease is over goes on with it.
create table public.campaign_copies (
  id uuid primary key,
  org_id uuid not null,
  -- the draft
  campaign_id uuid not null,
  source_id uuid not null,
  -- of contacts that are over, those with one of these outcomes; null: everybody who is not blocked
  outcomes text[],
  -- with outcomes: also those who wait
  with_waiting boolean not null default false,
  -- to be started when all are there
  starts boolean not null default false,
  -- how many there were to copy when it was begun
  contacts bigint not null,
  -- the number of the source's contact that was looked at last
  position text not null default '',
  -- who works on it: a stale one's fence changes nothing
  fence bigint not null default 1,
  lease_until timestamptz not null,
  -- how often in a row somebody took it over and came no further, and where that is
  stuck int not null default 0,
  stuck_at text,
  -- why nobody goes on with it
  error text,
  created_at timestamptz not null default now(),
  foreign key (org_id, campaign_id) references public.campaigns (org_id, id) on delete cascade,
  foreign key (org_id, source_id) references public.campaigns (org_id, id) on delete cascade
);
create index campaign_copies_campaign on public.campaign_copies (campaign_id);
create index campaign_copies_source on public.campaign_copies (org_id, source_id);
select private.protect_table('campaign_copies', 'viewer', 'supervisor', null, null);
