-- A copy of a campaign carries the do-not-call list that is the source's own.

alter table public.campaign_copies
  -- the number of the source's list that was copied last; null: all of it is
  add column list_position text default '';

-- A campaign's own list by number, a page at a time, among the millions of its organization's.
create index do_not_call_of_campaign on public.do_not_call (campaign_id, phone) where campaign_id is not null;

-- Whose numbers are all wrong is not copied: found among those whose last call ended so, to be counted.
create index contacts_wrong on public.contacts (campaign_id) where status = 'finished' and disposition = 'wrong-number';

-- What is put on a campaign's list while it is copied goes onto the copy's too, whether its page has gone by or not. The
-- lock is that of whoever begins a copy (campaigns/lifecycle/copies/store.py::lock_list): they wait for entries under way,
-- and so find them; those who wait for them look for copies afterwards, and so find the copy. The copy's row is held like
-- by a foreign key: one that is deleted in this moment takes no entries.
create function private.list_in_copies() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended(l.campaign_id::text, 13))
  from (select distinct n.campaign_id from listed n where n.campaign_id is not null order by 1) l;
  if not found then
    return null;
  end if;
  insert into public.do_not_call (id, org_id, campaign_id, phone, reason, source, created_at)
  select gen_random_uuid(), n.org_id, k.campaign_id, n.phone, n.reason, n.source, n.created_at
  from (
    select k.source_id, c.id as campaign_id from public.campaign_copies k join public.campaigns c on c.id = k.campaign_id
    where k.source_id in (select l.campaign_id from listed l) order by c.id for key share of c
  ) k join listed n on n.campaign_id = k.source_id
  order by k.campaign_id, n.phone
  on conflict do nothing;
  return null;
end $$;
create trigger do_not_call_copied after insert on public.do_not_call referencing new table as listed
  for each statement execute function private.list_in_copies();
