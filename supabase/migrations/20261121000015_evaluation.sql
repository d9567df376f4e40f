-- What a conversation was worth by its team's criteria, and who or what picked up the phone.

alter table public.calls
  -- null: nobody can say, or nobody was asked (inbound)
  add column answered_by text check (answered_by in ('person', 'machine')),
  -- {"by": "words" | "beep" | "sit" | "end", …}: how that was found out
  add column answered_by_evidence jsonb;

-- At most one a call. A row without a score says why there is none: the judge failed, or there was nothing to judge.
create table public.evaluations (
  call_id uuid primary key,
  org_id uuid not null,
  -- the weighted mean of the criteria that could be judged
  score double precision check (score between 0 and 1),
  reason text not null default '',
  -- who judged: "rules", or the name of a model; empty where nobody did
  judge text not null default '',
  -- [{"name", "check", "weight", "score": 0 to 1 or null, "reason"}], in the order of the team file
  criteria jsonb not null default '[]',
  created_at timestamptz not null default now(),
  foreign key (org_id, call_id) references public.calls (org_id, id) on delete cascade,
  check ((score is null) = (reason <> ''))
);
select private.protect_table('evaluations', 'viewer', null, null, null);
