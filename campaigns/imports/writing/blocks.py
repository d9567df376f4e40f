"""The blocks of a file on their way through the lanes.

A block is read while those before it are written, and a lane goes on with its next share while the other is still at an
earlier block: nobody waits for the slowest. Each share is one transaction, with the lane's place in the file in it.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.db import Database
from campaigns.imports import store
from campaigns.imports.contacts import Batch
from campaigns.imports.files.rows import Position
from campaigns.imports.job import LEASE_SECONDS, ImportTakenOver, Job
from campaigns.imports.opening import Elsewhere
from campaigns.imports.vectors.plain_rows import PlainReader, PlainRows
from campaigns.imports.vectors.seen import SeenNumbers
from campaigns.imports.writing import store as contact_store
from campaigns.imports.writing.plain import deal_plain, write_plain
from campaigns.imports.writing.shares import Share, deal, write_contacts

LANES = 3
"""Inserting is Postgres' work, and a lane packs its next share meanwhile: so three keep two cores at it."""

AHEAD = 1
"""Shares that wait for a lane: so many blocks are in memory beside the one that is read and those that are written."""

REST_WHILE_DIALING = 2.0
"""For every second of work so long a rest, as long as any campaign dials: a list may wait, a call slot may not."""


@dataclass
class Lane:
    """`done`: blocks that this lane wrote before. `shares`: what it is to write next; nothing once it has `failed`."""

    number: int
    done: int
    shares: asyncio.Queue[Share | PlainRows]
    failed: Exception | None = None


@dataclass(frozen=True)
class Met:
    """What a number of this import may meet. `others`: campaigns that dial too; `seen`: its own numbers so far, None
    where the campaign had contacts before it."""

    others: Mapping[UUID, str]
    seen: SeenNumbers | None


async def write_blocks(db: Database, job: Job) -> None:
    """From where the lanes are to the end of the file. Raises ImportTakenOver, and what reading and writing do."""
    async with db.system() as connection:
        places = [Position.from_json(lane["position"]) for lane in await store.select_lanes(connection, job.id)]
        others = await contact_store.select_other_running(connection, job.org_id, job.campaign_id)
        is_first = not await contact_store.has_contacts(connection, job.campaign_id)
    met = Met({} if job.options.elsewhere is Elsewhere.ALLOW else others, SeenNumbers() if is_first else None)
    lanes = [Lane(number, place.blocks, asyncio.Queue(AHEAD)) for number, place in enumerate(places)]
    start = min(places, key=lambda place: place.blocks)
    writers = [asyncio.create_task(_write_lane(db, job, lane, met)) for lane in lanes]
    try:
        await _feed(db, lanes, _read_batches(job, start if start.blocks else None))
    finally:
        for writer in writers:
            writer.cancel()
        await asyncio.wait(writers)
    for lane in lanes:
        if lane.failed is not None:
            raise lane.failed


async def _feed(db: Database, lanes: Sequence[Lane], batches: Iterator[Batch | PlainRows]) -> None:
    """The lanes have nothing left to write when this returns, or raises what reading did. While anybody dials, one
    thing is done at a time, with rests in between."""
    try:
        batch = await _read_on(batches)
        while batch is not None and all(lane.failed is None for lane in lanes):
            dialing = await _is_dialing(db)
            if dialing:
                await _drain(lanes)
            began, after = time.monotonic(), batch.block.after
            shares = deal_plain(batch, len(lanes)) if isinstance(batch, PlainRows) else deal(batch, len(lanes))
            for lane in lanes:
                if lane.done < after.blocks:
                    await lane.shares.put(shares[lane.number])
                if dialing:
                    await lane.shares.join()
            batch = await _read_on(batches)
            if dialing:
                await rest(REST_WHILE_DIALING * (time.monotonic() - began))
    except Exception:
        # A file that breaks here: what was read before it goes in.
        await _drain(lanes)
        raise
    await _drain(lanes)


async def _drain(lanes: Sequence[Lane]) -> None:
    for lane in lanes:
        await lane.shares.join()


async def rest(seconds: float) -> None:
    """Leave machine and database to the dialers."""
    await asyncio.sleep(seconds)


async def _is_dialing(db: Database) -> bool:
    async with db.system() as connection:
        return await store.is_any_running(connection)


async def _read_on(batches: Iterator[Batch | PlainRows]) -> Batch | PlainRows | None:
    """The next block, None at the end. Whoever calls it off waits for the thread, which has the file in hand."""
    reading = asyncio.create_task(asyncio.to_thread(next, batches, None))
    try:
        return await asyncio.shield(reading)
    except asyncio.CancelledError:
        await asyncio.wait([reading])
        raise


def _read_batches(job: Job, start: Position | None) -> Iterator[Batch | PlainRows]:
    plain = PlainReader(job.reader)
    for block in job.source.blocks(start):
        yield plain.read(block) or job.reader.read(block)


async def _write_lane(db: Database, job: Job, lane: Lane, met: Met) -> None:
    """Till it is called off. One that failed takes shares and writes none: who waits for it must not wait for ever."""
    while True:
        share = await lane.shares.get()
        try:
            if lane.failed is None:
                await _write_share(db, job, lane.number, share, met)
        except Exception as error:  # raised by write_blocks, when the other lanes have come to their ends
            lane.failed = error
        finally:
            lane.shares.task_done()


async def _write_share(db: Database, job: Job, lane: int, share: Share | PlainRows, met: Met) -> None:
    """One transaction. Raises ImportTakenOver."""
    where = (job.org_id, job.campaign_id, job.id)
    columns, skip = job.reader.columns, job.options.elsewhere is Elsewhere.SKIP
    async with db.system() as connection:
        if isinstance(share, PlainRows):
            counts, faults = await write_plain(
                connection, *where, share, columns=columns, others=met.others, skip_elsewhere=skip, seen=met.seen
            )
        else:
            if met.seen is not None:
                met.seen.remember(contact.phone for contact in share.contacts)
            counts, faults = await write_contacts(
                connection, *where, share, columns=columns, others=met.others, skip_elsewhere=skip
            )
        if faults:
            await contact_store.insert_faults(connection, job.org_id, job.id, faults)
        position = share.block.after.to_json()
        if not await store.advance_lane(
            connection, job.id, lane, fence=job.fence, position=position, counts=counts, lease_seconds=LEASE_SECONDS
        ):
            raise ImportTakenOver("Another process goes on with this import.")
