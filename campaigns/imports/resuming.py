"""An import whose process died is finished by another, from where the last transaction left it."""

import asyncio
import tempfile
from datetime import datetime
from typing import BinaryIO
from uuid import UUID

from app.db import Database, Row
from app.errors import InvalidInput
from app.ids import OrgId
from app.logs import get_logger
from campaigns.imports import store
from campaigns.imports.columns import Columns
from campaigns.imports.contacts import RowReader
from campaigns.imports.files.opening import reopen_rows
from campaigns.imports.files.rows import Dialect
from campaigns.imports.importing import run_import
from campaigns.imports.job import LEASE_SECONDS, ImportTakenOver, Job
from campaigns.imports.opening import ImportOptions, load_needs
from campaigns.imports.plain_numbers import Allowed, NumberReader
from campaigns.imports.writing.shared import forget_numbers

POLL_SECONDS = 5.0
MOST_TRIES = 10
"""How often an import is begun again at the same place before it is given up."""
STUCK = "It broke off at the same place again and again; what was read before that is in. The log knows more."

log = get_logger(__name__)


async def watch_imports(db: Database) -> None:
    """Finish what processes that died have left, for ever."""
    while True:
        try:
            more = await resume_import(db)
        except Exception:
            # The outermost loop: a database that is away comes back, and one bad import must not hold up the others.
            log.exception("an import could not be finished; it is tried again")
            more = False
        if not more:
            await asyncio.sleep(POLL_SECONDS)


async def resume_import(db: Database) -> bool:
    """Take over one import whose process is gone, and finish it; False where there is none."""
    async with db.system() as connection:
        row = await store.take_over(connection, LEASE_SECONDS)
    if row is None:
        return False
    log.info("going on with an import", import_id=str(row["id"]))
    if row["stuck_now"] >= MOST_TRIES:
        async with db.system() as connection:
            await store.end_import(connection, row["id"], fence=row["fence"], status="failed", error=STUCK)
        await forget_numbers(db, row["id"])
        return True
    await _run_kept(db, row, row["fence"])
    return True


async def run_kept(db: Database, org_id: OrgId, import_id: UUID, fence: int) -> None:
    """An import that this process has begun, from the file that was kept. What ends it early stands in its row."""
    async with db.system() as connection:
        row = await store.select_import(connection, org_id, import_id)
    if row is not None:
        await _run_kept(db, row, fence)


async def _run_kept(db: Database, row: Row, fence: int) -> None:
    with tempfile.TemporaryFile() as file:
        await _copy_parts(db, row["id"], file)
        try:
            await run_import(db, await _reopen(db, row, fence, file))
        except (InvalidInput, ImportTakenOver) as error:
            log.warning("an import ended early", import_id=str(row["id"]), why=error.detail)


async def _copy_parts(db: Database, import_id: UUID, file: BinaryIO) -> None:
    ordinal = 0
    while True:
        async with db.system() as connection:
            data = await store.select_part(connection, import_id, ordinal)
        if data is None:
            return
        file.write(data)
        ordinal += 1


async def _reopen(db: Database, row: Row, fence: int, file: BinaryIO) -> Job:
    """The import as it was begun; only what may be dialed is asked anew."""
    stored = dict(row["options"])
    region, now = stored["region"], stored.pop("now")
    options = ImportOptions.model_validate(stored)
    source = await asyncio.to_thread(reopen_rows, file, Dialect.from_json(row["dialect"]))
    needs = await load_needs(db, row["org_id"])
    reader = RowReader(
        Columns.from_json(row["columns"]), NumberReader(region), Allowed(needs.rules), datetime.fromisoformat(now)
    )
    return Job(row["id"], row["org_id"], row["campaign_id"], fence, source, reader, options, row["warnings"])
