"""The two job queues that a campaign could be built on, doing for each contact what our dialer does for it.

A job is a contact; fetching it is the claim. In it, three transactions, as at-most-once dialing needs them: the intent
before the request, what the carrier said after it, and the end. Each is one statement and writes the same rows as ours:
attempt, call, contact and their events. They ask no gate but the do-not-call list, keep no pace, and count no slots.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import asyncpg
import procrastinate
from pgqueuer import PgQueuer
from pgqueuer.models import Job
from pgqueuer.types import QueueExecutionMode

from app.ids import new_id

CONNECTIONS = 12
AT_ONCE = 24
"""Jobs at the same time: what was fastest for both on two cores, of 8, 16, 24, 48."""

INTENT = """
with taken as (
  update contacts c set status = 'in-flight'
  where id = $1 and status = 'waiting'
    and not exists (select from do_not_call d where d.org_id = c.org_id and d.phone = c.phone)
  returning *
), called as (
  insert into calls (id, org_id, channel, direction, status, room_name, carrier, from_number, to_number, number_id,
                     attempt_id, variables, dialed_at)
  select $2::uuid, t.org_id, 'phone', 'outbound', 'queued', 'call-' || $2::uuid, 'twilio', n.e164, t.phone, n.id, $3,
         t.variables, now()
  from taken t join campaigns g on g.id = t.campaign_id join numbers n on n.id = g.from_number_id returning *
), told as (
  insert into call_events (org_id, call_id, kind, data)
  select org_id, id, 'call.opened', jsonb_build_object('from', from_number, 'to', to_number) from called
), tried as (
  insert into attempts (id, org_id, campaign_id, contact_id, ordinal, status, dialer, fence, lease_until, call_id,
                        phone, dialed_at)
  select $3, t.org_id, t.campaign_id, t.id, t.attempts_made + 1, 'dialing', 'rival', nextval('attempt_fences'),
         clock_timestamp() + interval '30 seconds', k.id, t.phone, now()
  from taken t, called k returning *
)
insert into campaign_events (org_id, campaign_id, attempt_id, contact_id, kind, data)
select org_id, campaign_id, id, contact_id, 'attempt.dialed', jsonb_build_object('phone', phone, 'call_id', call_id)
from tried
"""
PLACED = """
with placed as (
  update attempts set status = 'placed', lease_until = clock_timestamp() + interval '90 seconds'
  where id = $1 and status = 'dialing' returning call_id
)
update calls k set carrier_call_id = $2 from placed p where k.id = p.call_id
"""
SETTLED = """
with ended as (
  update calls set status = 'no-answer', end_result = 'no-answer', end_reason = 'no_answer', end_at_fault = 'nobody',
                   ended_at = now()
  where attempt_id = $1 and ended_at is null returning id
), settled as (
  update attempts a set status = 'settled', disposition = 'no-answer', settled_at = now() from ended e
  where a.call_id = e.id and a.status = 'placed' returning a.*
), finished as (
  update contacts c set status = 'finished', attempts_made = c.attempts_made + 1, disposition = 'no-answer',
                        finished_at = now()
  from settled s where c.id = s.contact_id
)
insert into campaign_events (org_id, campaign_id, attempt_id, contact_id, kind, data)
select org_id, campaign_id, id, contact_id, 'attempt.settled', jsonb_build_object('disposition', disposition)
from settled
"""


async def dial(pool: "asyncpg.Pool[asyncpg.Record]", contact_id: UUID) -> None:
    """One contact, from the claim to the end; the carrier takes no time."""
    attempt_id, call_id = new_id(), new_id()
    await pool.execute(INTENT, contact_id, call_id, attempt_id)
    await pool.execute(PLACED, attempt_id, f"CA{call_id.hex}")
    await pool.execute(SETTLED, attempt_id)


async def open_pool(url: str) -> "asyncpg.Pool[asyncpg.Record]":
    return await asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS)


async def run_procrastinate(url: str, contacts: Sequence[UUID]) -> float:
    """Seconds from the first job fetched to the last one done; its tables are made before and removed after."""
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=CONNECTIONS, max_size=CONNECTIONS)
    app = procrastinate.App(connector=connector)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(await open_pool(url))
        await stack.enter_async_context(app.open_async())
        await app.schema_manager.apply_schema_async()

        @app.task(name="dial")
        async def dial_contact(contact_id: str) -> None:
            await dial(pool, UUID(contact_id))

        await dial_contact.batch_defer_async(*({"contact_id": str(one)} for one in contacts))
        began = asyncio.get_running_loop().time()
        await app.run_worker_async(
            concurrency=AT_ONCE, wait=False, listen_notify=False, install_signal_handlers=False, delete_jobs="never"
        )
        seconds = asyncio.get_running_loop().time() - began
        await drop(pool, "procrastinate")
    return seconds


async def run_pgqueuer(url: str, contacts: Sequence[UUID]) -> float:
    """The same for pgqueuer, which fetches and completes jobs in batches."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(await open_pool(url))
        jobs = await stack.enter_async_context(await open_pool(url))
        queue = PgQueuer.from_asyncpg_pool(jobs)
        await queue.qm.queries.install()

        @queue.entrypoint("dial")
        async def dial_contact(job: Job) -> None:
            assert job.payload is not None
            await dial(pool, UUID(bytes=job.payload))

        count = len(contacts)
        payloads: list[bytes | None] = [one.bytes for one in contacts]
        await queue.qm.queries.enqueue(["dial"] * count, payloads, [0] * count)
        began = asyncio.get_running_loop().time()
        await queue.qm.run(batch_size=AT_ONCE, mode=QueueExecutionMode.drain, max_concurrent_tasks=2 * AT_ONCE)
        seconds = asyncio.get_running_loop().time() - began
        await queue.qm.queries.uninstall()
    return seconds


async def drop(pool: Any, prefix: str) -> None:
    """Every table, type and function of that name."""
    await pool.execute(
        """
        do $$ declare it record; begin
          for it in select format('drop table if exists public.%I cascade', tablename) as command from pg_tables
                    where schemaname = 'public' and tablename like '"""
        + prefix
        + """%' loop execute it.command; end loop;
          for it in select format('drop function if exists %s cascade', p.oid::regprocedure) as command from pg_proc p
                    where proname like '"""
        + prefix
        + """%' loop execute it.command; end loop;
          for it in select format('drop type if exists public.%I cascade', typname) as command from pg_type t
                    join pg_namespace n on n.oid = t.typnamespace
                    where n.nspname = 'public' and typname like '"""
        + prefix
        + """%' and typtype in ('e', 'c') loop execute it.command; end loop;
        end $$
        """
    )
