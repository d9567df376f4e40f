-- What a campaign of millions needs around the dialing.

-- Samples that are not of a whole minute are forgotten after an hour: found without reading those that stay, which are
-- 1,440 a day for every campaign that ever ran.
create index campaign_samples_fine on public.campaign_samples (at) where date_bin('1 minute', at, 'epoch') <> at;

-- A campaign's own list, newest first, among the millions of its organization's; and what goes when the campaign is
-- deleted.
create index do_not_call_campaign on public.do_not_call (campaign_id, created_at desc, id desc)
  where campaign_id is not null;

-- A draft of millions is deleted in many transactions; from the first one on it can no longer be started.
alter table public.campaigns add column deleting_at timestamptz;
