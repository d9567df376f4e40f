-- Who may see and change what. Every tenant table has one policy a verb, named table_verb; a verb that is missing
-- in this list is refused to everyone but our own processes.
--   select, insert, update, delete: the least role that may do it.

do $$
declare
  rule record;
begin
  for rule in
    select * from (values
      -- table            select        insert        update        delete
      ('members',         'viewer',     'owner',      'owner',      'owner'),
      ('api_keys',        'admin',      'admin',      'admin',      'admin'),
      ('trunks',          'viewer',     'admin',      'admin',      'admin'),
      ('numbers',         'viewer',     'admin',      'admin',      'admin'),
      ('routes',          'viewer',     'admin',      'admin',      'admin'),
      ('teams',           'viewer',     'admin',      'admin',      'admin'),
      ('team_versions',   'viewer',     'admin',      'admin',      null),
      ('calls',           'viewer',     'operator',   'operator',   null),
      ('legs',            'viewer',     'operator',   'operator',   null),
      ('call_events',     'viewer',     'operator',   null,         null),
      ('turns',           'viewer',     null,         null,         null),
      ('recordings',      'supervisor', null,         null,         null),
      ('campaigns',       'viewer',     'supervisor', 'supervisor', 'admin'),
      ('contacts',        'viewer',     'supervisor', 'supervisor', 'admin'),
      ('attempts',        'viewer',     null,         null,         null),
      ('do_not_call',     'viewer',     'operator',   'operator',   'admin')
    ) as rules (name, for_select, for_insert, for_update, for_delete)
  loop
    execute format('alter table public.%I enable row level security', rule.name);
    execute format('revoke all on public.%I from anon, authenticated', rule.name);
    if rule.for_select is not null then
      execute format('grant select on public.%I to authenticated', rule.name);
      execute format(
        'create policy %I on public.%I for select to authenticated using (org_id in (select private.orgs_with_role(%L)))',
        rule.name || '_select', rule.name, rule.for_select);
    end if;
    if rule.for_insert is not null then
      execute format('grant insert on public.%I to authenticated', rule.name);
      execute format(
        'create policy %I on public.%I for insert to authenticated with check (org_id in (select private.orgs_with_role(%L)))',
        rule.name || '_insert', rule.name, rule.for_insert);
    end if;
    if rule.for_update is not null then
      execute format('grant update on public.%I to authenticated', rule.name);
      execute format(
        'create policy %I on public.%I for update to authenticated using (org_id in (select private.orgs_with_role(%L))) with check (org_id in (select private.orgs_with_role(%L)))',
        rule.name || '_update', rule.name, rule.for_update, rule.for_update);
    end if;
    if rule.for_delete is not null then
      execute format('grant delete on public.%I to authenticated', rule.name);
      execute format(
        'create policy %I on public.%I for delete to authenticated using (org_id in (select private.orgs_with_role(%L)))',
        rule.name || '_delete', rule.name, rule.for_delete);
    end if;
    execute format('grant all on public.%I to service_role', rule.name);
  end loop;
end $$;

-- An organization is its own tenant: its id is the org_id. Only our own processes make and remove one.
alter table public.organizations enable row level security;
revoke all on public.organizations from anon, authenticated;
grant select, update on public.organizations to authenticated;
grant all on public.organizations to service_role;
create policy organizations_select on public.organizations for select to authenticated
  using (id in (select private.orgs_with_role('viewer')));
create policy organizations_update on public.organizations for update to authenticated
  using (id in (select private.orgs_with_role('admin'))) with check (id in (select private.orgs_with_role('admin')));

-- Secrets are written, never read back, by people and keys.
revoke select on public.api_keys from authenticated;
grant select (id, org_id, name, prefix, role, scopes, expires_at, revoked_at, last_used_at, created_at)
  on public.api_keys to authenticated;
revoke select on public.trunks from authenticated;
grant select (id, org_id, name, direction, allowed_addresses, address, username, livekit_trunk_id, created_at)
  on public.trunks to authenticated;

-- Nobody gives out more than they have: an API key of a higher role than one's own cannot be made or changed to.
create function private.guard_api_key_role() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if nullif(current_setting('request.jwt.claims', true), '') is not null
     and new.org_id not in (select private.orgs_with_role(new.role)) then
    raise exception 'an API key cannot have a higher role than the one who makes it' using errcode = '42501';
  end if;
  return new;
end $$;
create trigger api_keys_guard_role before insert or update on public.api_keys
  for each row execute function private.guard_api_key_role();

grant usage on all sequences in schema public to authenticated, service_role;
