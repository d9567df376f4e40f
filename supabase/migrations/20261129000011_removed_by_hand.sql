-- Who takes a contact out by hand is told of it like by a gate that blocks one. A member may not write events: the
-- change itself does, in its transaction.
create function private.tell_contact_removed() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.campaign_events (org_id, campaign_id, contact_id, kind, data)
  values (new.org_id, new.campaign_id, new.id, 'contact.blocked',
          jsonb_build_object('phone', coalesce(new.phones[new.phone_index + 1], new.phone), 'gate', new.blocked_by,
                             'detail', coalesce(new.blocked_reason, '')));
  return null;
end $$;
create trigger contacts_tell_removed after update of status on public.contacts
  for each row when (old.status = 'waiting' and new.status = 'blocked' and new.blocked_by = 'hand')
  execute function private.tell_contact_removed();

-- A delivery says of which contact, also where there is no attempt to tell of.
alter table public.webhook_deliveries add column contact_id uuid;

create or replace function private.queue_webhooks() returns trigger language plpgsql security definer set search_path = ''
as $$
begin
  insert into public.webhook_deliveries (org_id, endpoint_id, event_id, campaign_id, attempt_id, contact_id, kind, data,
                                         at)
  select n.org_id, e.id, n.id, n.campaign_id, n.attempt_id, n.contact_id, n.kind, n.data, n.at
  from told n join public.webhook_endpoints e on e.org_id = n.org_id
  where e.enabled and (e.campaign_id is null or e.campaign_id = n.campaign_id)
    and (cardinality(e.events) = 0 or n.kind = any(e.events));
  return null;
end $$;
