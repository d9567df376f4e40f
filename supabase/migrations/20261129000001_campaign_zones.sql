-- Where those who wait are, by sample: what a running campaign's finish is reckoned from, with the hours that hold there.
-- One row a campaign, written anew about once a minute by a dialer, so that asking for progress never looks at contacts.
create table public.campaign_zones (
  campaign_id uuid primary key,
  org_id uuid not null,
  counted_at timestamptz not null,
  -- [{"country", "state", "zones", "time_zone", "contacts"}]; a place with 0 contacts is one that is done
  places jsonb not null default '[]',
  foreign key (org_id, campaign_id) references public.campaigns (org_id, id) on delete cascade
);
select private.protect_table('campaign_zones', 'viewer', null, null, null);
