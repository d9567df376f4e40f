-- What was answered to a request that carried an Idempotency-Key, so that the same request again gets the same
-- answer and dials nothing. The row is committed together with the call that it made.

create table public.idempotency_keys (
  org_id uuid not null references public.organizations (id) on delete cascade,
  key text not null check (length(key) between 1 and 255),
  -- of the method, the path and the body: the same key with another request is refused
  request_hash bytea not null,
  call_id uuid not null,
  -- null until the request was answered; if its process died before, the call row tells what came of it
  response_status int,
  response_body jsonb,
  created_at timestamptz not null default now(),
  primary key (org_id, key),
  foreign key (org_id, call_id) references public.calls (org_id, id) on delete cascade
);
create index idempotency_keys_oldest on public.idempotency_keys (org_id, created_at);
create index idempotency_keys_call on public.idempotency_keys (org_id, call_id);

alter table public.idempotency_keys enable row level security;
revoke all on public.idempotency_keys from anon, authenticated;
grant select, insert, update, delete on public.idempotency_keys to authenticated;
grant all on public.idempotency_keys to service_role;
create policy idempotency_keys_select on public.idempotency_keys for select to authenticated
  using (org_id in (select private.orgs_with_role('operator')));
create policy idempotency_keys_insert on public.idempotency_keys for insert to authenticated
  with check (org_id in (select private.orgs_with_role('operator')));
create policy idempotency_keys_update on public.idempotency_keys for update to authenticated
  using (org_id in (select private.orgs_with_role('operator')))
  with check (org_id in (select private.orgs_with_role('operator')));
create policy idempotency_keys_delete on public.idempotency_keys for delete to authenticated
  using (org_id in (select private.orgs_with_role('operator')));
