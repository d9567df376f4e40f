"""A process that imports, and may be killed: `python -m tests.prove.imports.worker URL start|resume …`. Prints the most
memory that it ever held, in MB, as its last line."""

import argparse
import asyncio
import os
import signal
from pathlib import Path
from typing import Any
from uuid import UUID

from app.db import Connection, Database
from app.ids import CampaignId, OrgId
from app.logs import configure_logs
from campaigns.imports import store
from campaigns.imports.importing import import_contacts
from campaigns.imports.resuming import resume_import
from tests.prove.imports.files import hostile_files
from tests.prove.imports.reading import read_hostile


def plant_early_position(url: str, block: int) -> None:
    """The fault: a lane's place is committed before its rows are; at that block the process dies in between."""
    honest = store.advance_lane

    async def advance_apart(connection: Connection, import_id: Any, lane: int, **what: Any) -> bool:
        early = await Database.connect(url, max_size=1)
        async with early.system() as other:
            moved = await honest(other, import_id, lane, **what)
        await early.close()
        if what["position"]["blocks"] >= block:
            os.kill(os.getpid(), signal.SIGKILL)
        return moved

    store.advance_lane = advance_apart


async def work(arguments: argparse.Namespace) -> None:
    configure_logs(json_lines=True, level="ERROR")
    if arguments.verb == "hostile":
        for hostile in hostile_files(1 << 26, 100_000):
            await read_hostile(hostile, Path(arguments.folder))
        return
    if arguments.early:
        plant_early_position(arguments.url, arguments.early)
    db = await Database.connect(arguments.url, max_size=4, application="import worker")
    if arguments.verb == "start":
        org, campaign = OrgId(UUID(arguments.org)), CampaignId(UUID(arguments.campaign))
        with await asyncio.to_thread(Path(arguments.file).open, "rb") as file:
            await import_contacts(db, org, campaign, file, file_name="known.csv")
    elif not await resume_import(db):
        raise SystemExit("nothing to resume")
    await db.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("verb", choices=("start", "resume", "hostile"))
    parser.add_argument("--file")
    parser.add_argument("--folder", help="where hostile files lie, or are made")
    parser.add_argument("--org")
    parser.add_argument("--campaign")
    parser.add_argument("--early", type=int, default=0)
    asyncio.run(work(parser.parse_args()))
    # Not getrusage: what it says of a new process includes what its parent held.
    status = Path("/proc/self/status").read_text()
    print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)


if __name__ == "__main__":
    main()
