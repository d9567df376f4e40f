-- How often a number was dialed, whichever campaign and contact it was for: what the caps on a number count.
create index attempts_phone on public.attempts (org_id, phone, dialed_at) where dialed_at is not null;

-- Who was blocked and why, without reading those who were not.
create index contacts_blocked on public.contacts (campaign_id, phone) where status = 'blocked';

-- A campaign's own entries of the do-not-call list, newest first.
create index do_not_call_newest on public.do_not_call (org_id, created_at desc, id desc);
