-- A contact's campaign is there and is of the same organization: as sure as by the foreign key that stood here, but asked
-- once a statement and not once a row, which was a third of what Postgres did for a contact that is imported (0014).
alter table public.contacts drop constraint contacts_org_id_campaign_id_fkey;

-- The lock is the foreign key's: who deletes the campaign waits for us, and we for them.
create function private.require_campaigns() returns trigger language plpgsql security definer set search_path = '' as $$
declare
  needed record;
begin
  for needed in select distinct n.org_id, n.campaign_id from changed_to n loop
    perform from public.campaigns c where c.org_id = needed.org_id and c.id = needed.campaign_id for key share;
    if not found then
      raise foreign_key_violation using
        message = format('campaign %s of organization %s is not there', needed.campaign_id, needed.org_id),
        schema = 'public', table = 'contacts', column = 'campaign_id', constraint = 'contacts_campaign';
    end if;
  end loop;
  return null;
end $$;
create trigger contacts_campaign after insert on public.contacts referencing new table as changed_to
  for each statement execute function private.require_campaigns();

create function private.refuse_to_move() returns trigger language plpgsql set search_path = '' as $$
begin
  raise foreign_key_violation using
    message = 'a contact stays in its campaign, and a campaign keeps its id and its organization',
    schema = 'public', table = tg_table_name, constraint = 'contacts_campaign';
end $$;
create trigger contacts_stay before update of org_id, campaign_id on public.contacts for each row
  when (old.campaign_id <> new.campaign_id or old.org_id <> new.org_id) execute function private.refuse_to_move();
create trigger campaigns_stay before update of org_id, id on public.campaigns for each row
  when (old.id <> new.id or old.org_id <> new.org_id) execute function private.refuse_to_move();

-- What a deleted campaign leaves. Contacts that others added while we waited for the campaign's row are seen only where
-- each statement looks anew.
create or replace function private.forget_campaign() returns trigger
  language plpgsql security definer set search_path = '' as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise feature_not_supported using message = 'campaigns are deleted in transactions that are read committed';
  end if;
  delete from public.contacts where campaign_id = old.id;
  delete from public.campaign_counts where campaign_id = old.id;
  delete from public.campaign_events where campaign_id = old.id;
  return null;
end $$;
