-- A webhook endpoint's secret may be changed: for a while the old one signs beside the new.

alter table public.webhook_endpoints
  add column old_secret_sealed bytea,
  add column old_secret_until timestamptz,
  add constraint webhook_endpoints_old_secret_ends check ((old_secret_sealed is null) = (old_secret_until is null));
-- The secrets themselves stay what nobody reads back.
grant select (old_secret_until) on public.webhook_endpoints to authenticated;
