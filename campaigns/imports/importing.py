"""From a file to contacts: bad and repeated rows are told, the good ones go in, and a death costs nothing.

The rows of a block are dealt to lanes by their number (`writing/blocks.py`); each lane commits its contacts, what is to
be said of them, and its place in the file together. So whoever goes on after a kill reads on from there and ends with
exactly the same rows, whatever was lost with the process.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO
from uuid import UUID

import asyncpg

from app.clock import utc_now
from app.db import Connection, Database, DatabaseUnavailable
from app.errors import Conflict, InvalidInput
from app.ids import CampaignId, OrgId
from campaigns.campaigns import demand_open, keep_open, select_campaign
from campaigns.imports import store
from campaigns.imports.contacts import as_text
from campaigns.imports.files.rows import BrokenFile, EmptyFile, Position
from campaigns.imports.job import LEASE_SECONDS, ImportTakenOver, Job
from campaigns.imports.opening import ImportOptions, Opened, load_needs, open_import
from campaigns.imports.reading import ImportNotFound, load_import
from campaigns.imports.report import ImportReport
from campaigns.imports.writing.blocks import LANES, write_blocks
from campaigns.imports.writing.shared import tell_shared


@dataclass(frozen=True)
class Once:
    """The same request again imports nothing twice: its Idempotency-Key, and the hash of what was sent."""

    key: str
    request_hash: bytes


class ImportKeyReused(Conflict):
    """The Idempotency-Key came before, with another request."""

    code = "idempotency_key_reused"


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
        demand_open(campaign.status, campaign.deleting_at)
        job = await begin_import(connection, org_id, campaign_id, opened, file_name=file_name, once=once)
        await keep_open(connection, org_id, campaign_id)
    return Started(job.id, job)


async def run_import(db: Database, job: Job) -> ImportReport:
    """To the end of the file. Raises InvalidInput where the file breaks: the import has failed then, and says so; and
    ImportTakenOver."""
    try:
        await write_blocks(db, job)
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
