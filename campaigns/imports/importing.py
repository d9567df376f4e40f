"""From a file to contacts: bad and repeated rows are told, the good ones go in, and a death costs nothing.

A block of rows is read while the one before it is written. Its rows are dealt to lanes by their number; each lane
commits its contacts, what is to be said of them, and its place in the file together. So whoever goes on after a kill
reads on from there and ends with exactly the same rows, whatever was lost with the process.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO
from uuid import UUID

import asyncpg

from app.clock import utc_now
from app.db import Connection, Database, DatabaseUnavailable
from app.errors import Conflict, InvalidInput
from app.ids import CampaignId, OrgId
from campaigns.campaigns import CampaignState, CampaignStatus, select_campaign
from campaigns.imports import store
from campaigns.imports.contacts import Batch, RowReader, as_text
from campaigns.imports.files.rows import BrokenFile, EmptyFile, Position, RowSource
from campaigns.imports.opening import Elsewhere, ImportOptions, Opened, load_needs, open_import
from campaigns.imports.reading import ImportNotFound, load_import
from campaigns.imports.report import ImportReport
from campaigns.imports.vectors.plain_rows import PlainReader, PlainRows
from campaigns.imports.vectors.seen import SeenNumbers
from campaigns.imports.writing import store as contact_store
from campaigns.imports.writing.plain import deal_plain, write_plain
from campaigns.imports.writing.shared import tell_shared
from campaigns.imports.writing.shares import Share, deal, write_contacts

LANES = 2
"""Inserting is Postgres' work, and two connections keep two of its cores at it."""

REST_WHILE_DIALING = 2.0
"""For every second of work so long a rest, as long as any campaign dials: a list may wait, a call slot may not."""

LEASE_SECONDS = 30.0


class ImportTakenOver(Conflict):
    """Another process goes on with this import; this one has changed nothing since."""

    code = "import_taken_over"


@dataclass(frozen=True)
class Once:
    """The same request again imports nothing twice: its Idempotency-Key, and the hash of what was sent."""

    key: str
    request_hash: bytes


class ImportKeyReused(Conflict):
    """The Idempotency-Key came before, with another request."""

    code = "idempotency_key_reused"


@dataclass(frozen=True)
class Job:
    """An import under way, held by this process under `fence`."""

    id: UUID
    org_id: OrgId
    campaign_id: CampaignId
    fence: int
    source: RowSource
    reader: RowReader
    options: ImportOptions
    warnings: Sequence[str]


@dataclass(frozen=True)
class Started:
    """`job`: None where the same request came before, and its import is under way or over."""

    import_id: UUID
    job: Job | None


async def import_contacts(
    db: Database,
    org_id: OrgId,
    campaign_id: CampaignId,
    file: BinaryIO,
    *,
    options: ImportOptions | None = None,
    file_name: str = "",
    claims: Mapping[str, Any] | None = None,
) -> ImportReport:
    """Add the file's contacts to the campaign and keep the report with it.

    `file`: seekable. `claims`: who asks, None for our own processes. Raises what `open_import` does: then nothing went
    in; and BrokenFile where the file breaks further down: then the rows before that are in, and a mended file adds
    the rest.
    """
    opened = await open_import(file, await load_needs(db, org_id, campaign_id=campaign_id), options)
    async with db.system() if claims is None else db.request(claims) as connection:
        job = await begin_import(connection, org_id, campaign_id, opened, file_name=file_name)
    return await run_import(db, job)


async def begin_import(
    connection: Connection,
    org_id: OrgId,
    campaign_id: CampaignId,
    opened: Opened,
    *,
    file_name: str = "",
    once: Once | None = None,
) -> Job:
    """From this transaction's end on the import will be finished, by this process or another."""
    now = utc_now()
    import_id = await store.insert_import(
        connection,
        org_id,
        campaign_id,
        file_name=as_text(file_name)[:255],
        size=opened.size,
        sha256=opened.sha256,
        dialect=opened.source.dialect.to_json(),
        columns=opened.columns.to_json(),
        options=opened.options.model_dump(mode="json") | {"region": opened.region, "now": now.isoformat()},
        warnings=opened.warnings,
        request_key=once.key if once else None,
        request_hash=once.request_hash if once else None,
    )
    fence = await store.insert_lanes(connection, org_id, import_id, LANES, Position().to_json(), LEASE_SECONDS)
    opened.file.seek(0)
    ordinal = 0
    while data := opened.file.read(store.PART_BYTES):
        await store.insert_part(connection, org_id, import_id, ordinal, data)
        ordinal += 1
    reader = opened.reader(now)
    return Job(import_id, org_id, campaign_id, fence, opened.source, reader, opened.options, opened.warnings)


async def start_import(
    db: Database,
    org_id: OrgId,
    campaign_id: CampaignId,
    opened: Opened,
    *,
    file_name: str = "",
    once: Once | None = None,
    claims: Mapping[str, Any] | None = None,
) -> Started:
    """The file is safe with us, and will be imported. Raises CampaignNotFound, CampaignState, ImportKeyReused."""
    async with db.system() if claims is None else db.request(claims) as connection:
        if once is not None:
            await store.lock_key(connection, org_id, once.key)
            row = await store.select_import_by_key(connection, org_id, once.key)
            if row is not None and bytes(row["request_hash"]) != once.request_hash:
                raise ImportKeyReused("This Idempotency-Key came before with another file or other wishes.")
            if row is not None:
                return Started(row["id"], None)
        campaign = await select_campaign(connection, org_id, campaign_id)
        if campaign.status is CampaignStatus.FINISHED:
            raise CampaignState("The campaign is finished; make another one for these contacts.")
        job = await begin_import(connection, org_id, campaign_id, opened, file_name=file_name, once=once)
    return Started(job.id, job)


async def run_import(db: Database, job: Job) -> ImportReport:
    """To the end of the file. Raises InvalidInput where the file breaks: the import has failed then, and says so; and
    ImportTakenOver."""
    try:
        await _write_blocks(db, job)
        where = (job.org_id, job.campaign_id, job.id)
        many = len(job.reader.columns.phones) > 1
        if many and not await tell_shared(db, *where, fence=job.fence, lease_seconds=LEASE_SECONDS):
            raise ImportTakenOver("Another process goes on with this import.")
        report = (await load_import(db, job.org_id, job.id)).report
        if report.rows == 0:
            raise EmptyFile("The file has column names and no contact under them.")
    except InvalidInput as error:
        await _end(db, job, "failed", error.detail)
        raise
    except (asyncpg.ForeignKeyViolationError, ImportNotFound) as error:
        raise ImportTakenOver("The campaign was deleted while its contacts were imported.") from error
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        refused = BrokenFile("A row holds a value that cannot be stored; what was read before it is in.")
        await _end(db, job, "failed", refused.detail)
        raise refused from error
    except BaseException:
        # A shutdown, or a database that is away: another process need not wait for our lease to end.
        await _let_go(db, job)
        raise
    await _end(db, job, "finished")
    return report


async def _write_blocks(db: Database, job: Job) -> None:
    async with db.system() as connection:
        lanes = [Position.from_json(lane["position"]) for lane in await store.select_lanes(connection, job.id)]
        others = await contact_store.select_other_running(connection, job.org_id, job.campaign_id)
        is_first = not await contact_store.has_contacts(connection, job.campaign_id)
    if job.options.elsewhere is Elsewhere.ALLOW:
        others = {}
    seen = SeenNumbers() if is_first else None
    start = min(lanes, key=lambda position: position.blocks)
    batches = _read_batches(job, start if start.blocks else None)
    batch = await asyncio.to_thread(next, batches, None)
    while batch is not None:
        began, dialing = time.monotonic(), await _is_dialing(db)
        after = batch.block.after
        shares = deal_plain(batch, len(lanes)) if isinstance(batch, PlainRows) else deal(batch, len(lanes))
        behind = [lane for lane, position in enumerate(lanes) if position.blocks < after.blocks]
        writing = [partial(_write_share, db, job, lane, shares[lane], others, seen) for lane in behind]
        done = await _take_steps([partial(asyncio.to_thread, next, batches, None), *writing], at_once=not dialing)
        for failed in done:
            if isinstance(failed, BaseException):
                raise failed
        batch = done[0] if isinstance(done[0], Batch | PlainRows) else None
        if dialing:
            await rest(REST_WHILE_DIALING * (time.monotonic() - began))


async def _take_steps(steps: Sequence[Callable[[], Awaitable[object]]], *, at_once: bool) -> list[object]:
    """→ what each came to, or its exception. One after the other they leave the dialers a core.

    All come to their ends, also where one fails: none must write on after the import is over.
    """
    if at_once:
        return await asyncio.gather(*(step() for step in steps), return_exceptions=True)
    return [(await asyncio.gather(step(), return_exceptions=True))[0] for step in steps]


async def rest(seconds: float) -> None:
    """Leave machine and database to the dialers."""
    await asyncio.sleep(seconds)


async def _is_dialing(db: Database) -> bool:
    async with db.system() as connection:
        return await store.is_any_running(connection)


def _read_batches(job: Job, start: Position | None) -> Iterator[Batch | PlainRows]:
    plain = PlainReader(job.reader)
    for block in job.source.blocks(start):
        yield plain.read(block) or job.reader.read(block)


async def _write_share(
    db: Database,
    job: Job,
    lane: int,
    share: Share | PlainRows,
    others: Mapping[UUID, str],
    seen: SeenNumbers | None,
) -> None:
    """One transaction. Raises ImportTakenOver."""
    where = (job.org_id, job.campaign_id, job.id)
    columns, skip = job.reader.columns, job.options.elsewhere is Elsewhere.SKIP
    async with db.system() as connection:
        if isinstance(share, PlainRows):
            counts, faults = await write_plain(
                connection, *where, share, columns=columns, others=others, skip_elsewhere=skip, seen=seen
            )
        else:
            if seen is not None:
                seen.remember(contact.phone for contact in share.contacts)
            counts, faults = await write_contacts(
                connection, *where, share, columns=columns, others=others, skip_elsewhere=skip
            )
        if faults:
            await contact_store.insert_faults(connection, job.org_id, job.id, faults)
        position = share.block.after.to_json()
        if not await store.advance_lane(
            connection, job.id, lane, fence=job.fence, position=position, counts=counts, lease_seconds=LEASE_SECONDS
        ):
            raise ImportTakenOver("Another process goes on with this import.")


async def _end(db: Database, job: Job, status: str, error: str | None = None) -> None:
    """The report stays with the campaign, the file goes. Raises ImportTakenOver."""
    report = (await load_import(db, job.org_id, job.id)).report
    async with db.system() as connection:
        if not await store.end_import(connection, job.id, fence=job.fence, status=status, error=error):
            raise ImportTakenOver("Another process goes on with this import.")
        await store.set_report(connection, job.campaign_id, report.to_json())
        await store.delete_parts(connection, job.id)


async def _let_go(db: Database, job: Job) -> None:
    try:
        async with db.system() as connection:
            await store.release_lanes(connection, job.id, job.fence)
    except DatabaseUnavailable:
        return  # then the lease ends by itself
