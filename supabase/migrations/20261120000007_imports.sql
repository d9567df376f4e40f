-- Files of contacts on their way into a campaign. The file itself lies here until all of its rows are in, so that any
-- process can go on where another died.

create table public.imports (
  id uuid primary key,
  org_id uuid not null,
  campaign_id uuid not null,
  file_name text not null,
  bytes bigint not null,
  -- of the file: what an attempt's evidence calls its list
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  status text not null default 'running' check (status in ('running', 'finished', 'failed')),
  -- how the file is read, found once: {"format": …, "encoding": …, "delimiter": …, "sheet": …}
  dialect jsonb not null,
  -- what each column is: campaigns/imports/columns.py::Columns
  columns jsonb not null,
  -- what whoever imports asked for: campaigns/imports/importing.py::ImportOptions
  options jsonb not null default '{}',
  warnings jsonb not null default '[]',
  -- of a failed one: what to do about it
  error text,
  -- how often in a row somebody took it over and came no further, and the sum of its lanes' blocks then
  stuck int not null default 0,
  stuck_at bigint,
  request_key text check (length(request_key) between 1 and 255),
  request_hash bytea,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  unique (org_id, id),
  foreign key (org_id, campaign_id) references public.campaigns (org_id, id) on delete cascade
);
create unique index imports_request_key on public.imports (org_id, request_key) where request_key is not null;
create index imports_campaign on public.imports (campaign_id, created_at, id);
create index imports_running on public.imports (id) where status = 'running';
select private.protect_table('imports', 'viewer', 'supervisor', null, 'admin');

create table public.import_parts (
  org_id uuid not null,
  import_id uuid not null,
  ordinal int not null check (ordinal >= 0),
  data bytea not null,
  created_at timestamptz not null default now(),
  primary key (import_id, ordinal),
  foreign key (org_id, import_id) references public.imports (org_id, id) on delete cascade
);
alter table public.import_parts alter column data set storage external;
select private.protect_table('import_parts', 'supervisor', 'supervisor', null, 'admin');

-- Rows are dealt to lanes by their number, so that a number always meets itself in the order of the file, while lanes
-- go on side by side. Each commits its contacts, its faults and its place in the file in one transaction.
create table public.import_lanes (
  org_id uuid not null,
  import_id uuid not null,
  lane int not null check (lane >= 0),
  -- where it goes on: campaigns/imports/files/rows.py::Position
  position jsonb not null,
  -- who works on it: a stale worker's fence changes nothing
  fence bigint not null,
  lease_until timestamptz not null,
  accepted bigint not null default 0,
  rejected bigint not null default 0,
  duplicates bigint not null default 0,
  blocked bigint not null default 0,
  warned bigint not null default 0,
  created_at timestamptz not null default now(),
  primary key (import_id, lane),
  foreign key (org_id, import_id) references public.imports (org_id, id) on delete cascade
);
create sequence public.import_fences;
grant usage on sequence public.import_fences to authenticated, service_role;
select private.protect_table('import_lanes', 'viewer', 'supervisor', null, 'admin');

-- What is to be said of a row: why it did not go in, or went in and is not dialed, or went in without something.
create table public.import_faults (
  org_id uuid not null,
  import_id uuid not null,
  line int not null,
  -- of several about one row
  ordinal int not null default 0,
  kind text not null check (kind in ('rejected', 'duplicate', 'blocked', 'warning')),
  column_name text not null default '',
  value text not null default '',
  reason text not null,
  -- the row as it was read, in the order of columns.names
  cells jsonb not null default '[]',
  created_at timestamptz not null default now(),
  primary key (import_id, line, ordinal),
  foreign key (org_id, import_id) references public.imports (org_id, id) on delete cascade
);
select private.protect_table('import_faults', 'viewer', 'supervisor', null, 'admin');

-- The import that brought it, or the request of the api that did; null: neither. No foreign key: it is written tens of
-- thousands of times a second, and says where from even when the import's record is gone.
alter table public.contacts add column import_id uuid;

-- A key may name what is no call: the answer is committed together with what was done.
alter table public.idempotency_keys alter column call_id drop not null;
