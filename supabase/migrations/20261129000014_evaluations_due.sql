-- Calls that a team with criteria has, or had, and that have no evaluation yet: written when the team takes the call, gone
-- with its evaluation. So whoever looks finds what a worker left that died between a call's end and its judgment.
create table public.evaluations_due (
  call_id uuid primary key,
  org_id uuid not null,
  -- how often somebody began to judge it, and until when it is theirs
  tries int not null default 0,
  lease_until timestamptz not null default '-infinity',
  created_at timestamptz not null default now(),
  foreign key (org_id, call_id) references public.calls (org_id, id) on delete cascade
);
select private.protect_table('evaluations_due', 'viewer', null, null, null);
