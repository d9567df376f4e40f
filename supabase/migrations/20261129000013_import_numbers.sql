-- While an import is held against itself: each further number of its contacts, with the line that has it first. Rows are
-- gone when the import is over. No foreign key: a list of a million rows has millions of them. Only for our own processes.
create table public.import_numbers (
  import_id uuid not null,
  phone text not null,
  line int not null,
  primary key (import_id, phone)
);
alter table public.import_numbers enable row level security;
revoke all on public.import_numbers from anon, authenticated;
grant all on public.import_numbers to service_role;

create function private.forget_import_numbers() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  delete from public.import_numbers where import_id = old.id;
  return null;
end $$;
create trigger imports_forget_numbers after delete on public.imports
  for each row execute function private.forget_import_numbers();
