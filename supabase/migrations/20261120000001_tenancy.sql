-- Organizations, who belongs to them, and how the database knows who is asking.
-- auth.uid(), auth.users and the roles anon, authenticated and service_role come from Supabase; on a plain
-- Postgres the runner applies supabase/shim.sql first.

create schema if not exists private;
grant usage on schema private to authenticated, service_role;

create table public.organizations (
  id uuid primary key,
  slug text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{1,62}$'),
  name text not null check (name <> ''),
  country text not null default 'US' check (country ~ '^[A-Z]{2}$'),
  settings jsonb not null default '{}',
  created_at timestamptz not null default now()
);

create table public.members (
  org_id uuid not null references public.organizations (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  role text not null check (role in ('owner', 'admin', 'supervisor', 'operator', 'viewer')),
  created_at timestamptz not null default now(),
  primary key (org_id, user_id)
);
create index members_user on public.members (user_id);

create table public.api_keys (
  id uuid primary key,
  org_id uuid not null references public.organizations (id) on delete cascade,
  name text not null,
  -- The first characters, to tell keys apart in a list; the key itself is stored only as its SHA-256.
  prefix text not null,
  hash bytea not null unique,
  role text not null check (role in ('owner', 'admin', 'supervisor', 'operator', 'viewer')),
  scopes text[] not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  created_at timestamptz not null default now(),
  unique (org_id, id)
);

create function private.role_rank(role text) returns int language sql immutable as $$
  select array_position(array['viewer', 'operator', 'supervisor', 'admin', 'owner'], role)
$$;

-- The organizations where whoever asks (a user by auth.uid(), or an API key by its id, which only our api puts
-- into the claims) has at least this role. Policies call it inside a sub-select: once a statement, not once a row.
create function private.orgs_with_role(least_role text) returns setof uuid
language sql stable security definer set search_path = '' as $$
  select m.org_id from public.members m
  where m.user_id = auth.uid() and private.role_rank(m.role) >= private.role_rank(least_role)
  union
  select k.org_id from public.api_keys k
  where k.id = (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'api_key_id')::uuid
    and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
    and private.role_rank(k.role) >= private.role_rank(least_role)
$$;
revoke all on function private.orgs_with_role(text) from public;
grant execute on function private.orgs_with_role(text) to authenticated, service_role;
grant execute on function private.role_rank(text) to authenticated, service_role;
