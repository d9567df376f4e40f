-- The gate that put a try off, which was then released without a dial; null: no gate did. `detail` has its words.
alter table public.attempts add column put_off_by text check (
  put_off_by in ('campaign', 'window', 'consent', 'do-not-call', 'suppression', 'toll-gate', 'calling-hours', 'caps')
);
-- Until now only the words told it; of those who are put off still.
update public.attempts a set put_off_by = 'suppression' from public.contacts c
where c.id = a.contact_id and c.status = 'waiting' and c.due_at > now() and a.status = 'released'
  and (a.detail like 'vetoed: %' or a.detail like 'no usable answer; %');
