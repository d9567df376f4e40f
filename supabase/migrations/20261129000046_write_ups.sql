-- An attempt is settled once its operator has written it up: looked up by its call.
create index operators_of_call on public.operators (call_id) where call_id is not null;
