-- What an organization may dial, how often, and for how much: telephony/toll_gate.

-- The newest row holds; the others say what held before, and who changed it.
create table public.dialing_rules (
  id uuid primary key,
  org_id uuid not null references public.organizations (id) on delete cascade,
  -- read by telephony/toll_gate/policy.py::DialingPolicy
  rules jsonb not null,
  -- the user or the API key; null: our own processes
  set_by text,
  created_at timestamptz not null default clock_timestamp()
);
create index dialing_rules_newest on public.dialing_rules (org_id, created_at desc, id desc);
select private.protect_table('dialing_rules', 'viewer', 'admin', null, null);

-- Dials counted for a limit in small buckets of time. A limit holds over every window of its length, because whoever
-- reserves adds up the buckets while it has the organization's lock.
create table public.dial_counts (
  org_id uuid not null references public.organizations (id) on delete cascade,
  -- the window in seconds, and what it counts where not all dials: '60', '3600 GB', '86400 +4420'
  key text not null,
  bucket timestamptz not null,
  dials int not null check (dials > 0),
  primary key (org_id, key, bucket)
);
select private.protect_table('dial_counts', 'viewer', null, null, null);

-- What a priced dial costs: what was set aside for it, then what it came to. Money in thousandths of the minor unit.
create table public.dial_charges (
  -- no foreign key: it is written before the call, in the call's transaction
  call_id uuid primary key,
  org_id uuid not null references public.organizations (id) on delete cascade,
  -- the UTC day it counts for
  day date not null,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  -- of a minute; every minute begun is paid
  rate bigint not null check (rate >= 0),
  charged bigint not null check (charged >= 0),
  -- the call is over: `charged` is final
  settled boolean not null default false,
  charged_at timestamptz not null default clock_timestamp()
);
create index dial_charges_open on public.dial_charges (org_id) where not settled;
select private.protect_table('dial_charges', 'viewer', null, null, null);

-- dial_charges added up, so that a month's spend is thirty rows and not a million.
create table public.dial_spend (
  org_id uuid not null references public.organizations (id) on delete cascade,
  day date not null,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  charged bigint not null check (charged >= 0),
  primary key (org_id, day, currency)
);
select private.protect_table('dial_spend', 'viewer', null, null, null);

-- How often one number was called lately.
create index calls_to_number on public.calls (org_id, to_number, created_at) where direction = 'outbound';

-- The three tables above are written through these functions only, which add and never take away: who may place a
-- call may not make room for another one.
create function private.guard_dialing(org uuid) returns void
language plpgsql stable security definer set search_path = '' as $$
begin
  if nullif(current_setting('request.jwt.claims', true), '') is not null
     and org not in (select private.orgs_with_role('operator')) then
    raise exception 'not an operator of this organization' using errcode = '42501';
  end if;
end $$;

create function private.count_dials(org uuid, counted_keys text[], buckets timestamptz[], counts int[], oldest timestamptz[])
returns void language plpgsql security definer set search_path = '' as $$
begin
  perform private.guard_dialing(org);
  insert into public.dial_counts (org_id, key, bucket, dials)
  select org, u.key, u.bucket, u.dials from unnest(counted_keys, buckets, counts) u (key, bucket, dials)
  on conflict (org_id, key, bucket) do update set dials = public.dial_counts.dials + excluded.dials;
  -- what no window reaches any more, by the database's own clock as well
  delete from public.dial_counts d using unnest(counted_keys, oldest) u (key, oldest)
  where d.org_id = org and d.key = u.key
    and d.bucket <= least(u.oldest, clock_timestamp() - make_interval(secs => split_part(u.key, ' ', 1)::int * 61.0 / 60));
end $$;

create function private.charge_dials(org uuid, calls uuid[], charge_day date, money text, rates bigint[], charges bigint[])
returns void language plpgsql security definer set search_path = '' as $$
begin
  perform private.guard_dialing(org);
  insert into public.dial_charges (call_id, org_id, day, currency, rate, charged)
  select u.call_id, org, charge_day, money, u.rate, u.charged from unnest(calls, rates, charges) u (call_id, rate, charged);
  insert into public.dial_spend (org_id, day, currency, charged)
  select org, charge_day, money, sum(u.charged) from unnest(charges) u (charged) having count(*) > 0
  on conflict (org_id, day, currency) do update set charged = public.dial_spend.charged + excluded.charged;
end $$;

-- Calls that are over are charged for their length, calls that go on for the minutes so far if those are more than what
-- was set aside. A charge whose call was never written costs nothing, unless it is of this very transaction.
create function private.settle_dials(org uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  perform private.guard_dialing(org);
  with looked as (
    select c.call_id, c.charged as before, k.id is null or k.ended_at is not null as over,
           case when k.id is null or k.ended_at is not null and k.answered_at is null then 0
                when k.ended_at is not null then c.rate * ceil(extract(epoch from k.ended_at - k.answered_at) / 60)::bigint
                when k.answered_at is not null then greatest(c.charged,
                  c.rate * ceil(extract(epoch from clock_timestamp() - k.answered_at) / 60)::bigint)
                else c.charged end as charged
    from public.dial_charges c left join public.calls k on k.id = c.call_id
    where c.org_id = org and not c.settled and c.charged_at < now()
  ), changed as (
    update public.dial_charges c set charged = l.charged, settled = l.over from looked l
    where c.call_id = l.call_id and (l.over or l.charged <> l.before)
    returning c.day, c.currency, l.charged - l.before as difference
  )
  update public.dial_spend s set charged = s.charged + d.difference
  from (select day, currency, sum(difference) as difference from changed group by day, currency) d
  where s.org_id = org and s.day = d.day and s.currency = d.currency;
end $$;

revoke all on function private.guard_dialing, private.count_dials, private.charge_dials, private.settle_dials from public;
grant execute on function private.count_dials, private.charge_dials, private.settle_dials to authenticated, service_role;
