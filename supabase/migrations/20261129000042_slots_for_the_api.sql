-- Dials that no campaign makes take their slots on the same lanes. Who may place a call may not make room for another
-- one, nor change a limit: these functions hold lanes and move them forward, and do nothing else.

-- Until the transaction ends, in the order in which dialers hold them.
create function private.hold_lanes(org uuid, lane_keys text[]) returns void
language plpgsql security definer set search_path = '' as $$
begin
  perform private.guard_dialing(org);
  perform from public.lanes where org_id = org and key = any(lane_keys) order by key for no key update;
end $$;

create function private.move_lanes(org uuid, lane_keys text[], next_dials timestamptz[]) returns void
language plpgsql security definer set search_path = '' as $$
begin
  perform private.guard_dialing(org);
  update public.lanes l set next_dial_at = u.at from unnest(lane_keys, next_dials) u (key, at)
  where l.org_id = org and l.key = u.key and l.next_dial_at < u.at;
end $$;

revoke all on function private.hold_lanes, private.move_lanes from public;
grant execute on function private.hold_lanes, private.move_lanes to authenticated, service_role;
