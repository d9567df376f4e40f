-- The ground of the campaign engine: what a campaign may ask for, what is known of a contact, and what an attempt
-- proves. Imports, gates, lanes, schedules and outcomes stand on it in migrations of their own.

-- The policies of a tenant table in one call: one a verb, named table_verb, for the least role that may do it; null:
-- only our own processes.
create function private.protect_table(name text, for_select text, for_insert text, for_update text, for_delete text)
returns void language plpgsql as $$
begin
  execute format('alter table public.%I enable row level security', name);
  execute format('revoke all on public.%I from anon, authenticated', name);
  execute format('grant all on public.%I to service_role', name);
  if for_select is not null then
    execute format('grant select on public.%I to authenticated', name);
    execute format(
      'create policy %I on public.%I for select to authenticated using (org_id in (select private.orgs_with_role(%L)))',
      name || '_select', name, for_select);
  end if;
  if for_insert is not null then
    execute format('grant insert on public.%I to authenticated', name);
    execute format(
      'create policy %I on public.%I for insert to authenticated with check (org_id in (select private.orgs_with_role(%L)))',
      name || '_insert', name, for_insert);
  end if;
  if for_update is not null then
    execute format('grant update on public.%I to authenticated', name);
    execute format(
      'create policy %I on public.%I for update to authenticated using (org_id in (select private.orgs_with_role(%L))) with check (org_id in (select private.orgs_with_role(%L)))',
      name || '_update', name, for_update, for_update);
  end if;
  if for_delete is not null then
    execute format('grant delete on public.%I to authenticated', name);
    execute format(
      'create policy %I on public.%I for delete to authenticated using (org_id in (select private.orgs_with_role(%L)))',
      name || '_delete', name, for_delete);
  end if;
end $$;
revoke all on function private.protect_table from public;

alter table public.campaigns
  -- ai: agents are elastic | progressive, predictive: calls go to human operators
  add column mode text not null default 'ai' check (mode in ('ai', 'progressive', 'predictive')),
  -- between campaigns that share lines: a higher one first, equal ones by share
  add column priority int not null default 0 check (priority between -9 and 9),
  add column share numeric(8, 3) not null default 1 check (share > 0),
  -- no dial before and none after
  add column starts_at timestamptz,
  add column deadline_at timestamptz check (deadline_at > starts_at),
  -- ISO 3166: the country of numbers that are written without one; null: the organization's
  add column region text check (region ~ '^[A-Z]{2}$'),
  -- each read by the pydantic model of its room; '{}' is the default of every one
  add column calling jsonb not null default '{}',
  add column caps jsonb not null default '{}',
  add column consent jsonb not null default '{}',
  add column suppression jsonb not null default '{}',
  add column pace jsonb not null default '{}',
  add column canary jsonb not null default '{}',
  add column breaker jsonb not null default '{}',
  add column outcomes jsonb not null default '{}',
  -- why it is paused, where it paused itself
  add column pause_reason text,
  -- the campaign whose unreached contacts this one dials again
  add column parent_id uuid,
  add foreign key (org_id, parent_id) references public.campaigns (org_id, id);

alter table public.contacts
  -- every number of the contact in the order they are tried; the first is `phone`
  add column phones text[] not null default '{}',
  -- which of them is next, from 0
  add column phone_index int not null default 0 check (phone_index >= 0),
  -- IANA name, where the list says it
  add column time_zone text,
  add column consent_at timestamptz,
  add column consent_expires_at timestamptz,
  add column consent_source text,
  -- the gate that said never, and why
  add column blocked_by text,
  add column blocked_reason text,
  -- asked for in a call; due_at is that instant then
  add column callback_at timestamptz,
  -- what the last call left for the next
  add column memory jsonb not null default '{}';

alter table public.attempts
  -- the number of this try
  add column phone text,
  -- what each gate said in the moment of the intent: the evidence that this dial was allowed
  add column gates jsonb not null default '[]';

-- An entry holds for one campaign or, without one, for the whole organization.
alter table public.do_not_call
  add column campaign_id uuid,
  add column source text not null default 'api' check (source in ('api', 'import', 'said-in-call', 'carrier')),
  add foreign key (org_id, campaign_id) references public.campaigns (org_id, id) on delete cascade,
  drop constraint do_not_call_org_id_phone_key,
  add constraint do_not_call_entry unique nulls not distinct (org_id, phone, campaign_id);
