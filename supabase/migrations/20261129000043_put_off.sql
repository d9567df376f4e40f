-- When a gate put a waiting contact off until its due_at; null: that instant is its own (a retry's, a callback's).
alter table public.contacts add column put_off_at timestamptz;
create index contacts_put_off on public.contacts (campaign_id, put_off_at)
  where status = 'waiting' and put_off_at is not null;

-- Since when its gates say something else: whom they had put off before that is due again, a page at a time. Null: all of
-- them are.
alter table public.campaigns add column gates_changed_at timestamptz;
create index campaigns_gates_changed on public.campaigns (id) where gates_changed_at is not null;
