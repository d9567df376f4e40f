"""The evidence of attempts, one or all of a campaign, read a page at a time."""

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from app.clock import utc_now
from app.db import Connection, Database, Row
from app.errors import NotFound
from app.ids import AttemptId, CampaignId, OrgId
from campaigns.outcomes.evidence import store
from campaigns.outcomes.evidence.bundle import Beside, compose
from campaigns.outcomes.progress import load_progress

PAGE_ATTEMPTS = 200


class AttemptNotFound(NotFound):
    """The campaign has no such attempt."""

    code = "attempt_not_found"


async def load_evidence(
    db: Database,
    org_id: OrgId,
    campaign_id: CampaignId,
    attempt_id: AttemptId,
    *,
    recordings: Path,
    claims: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The bundle of one attempt. `recordings`: the folder of the files, to tell whether they are what they were.
    Raises CampaignNotFound, AttemptNotFound."""
    await load_progress(db, org_id, campaign_id, claims=claims)
    found = await _bundle(db, org_id, campaign_id, [attempt_id], recordings=recordings, claims=claims)
    if not found:
        raise AttemptNotFound("This campaign has no such attempt.")
    return found[0]


async def stream_evidence(
    db: Database,
    org_id: OrgId,
    campaign_id: CampaignId,
    *,
    recordings: Path,
    claims: Mapping[str, Any] | None = None,
) -> AsyncIterator[str]:
    """JSON Lines: the bundle of every attempt that went as far as the intent to dial, in the order they were made."""
    after: tuple[datetime, UUID] | None = None
    while True:
        async with db.system() if claims is None else db.request(claims) as connection:
            page = await store.select_attempt_ids(connection, org_id, campaign_id, after=after, limit=PAGE_ATTEMPTS)
        ids = [row["id"] for row in page]
        for bundle in await _bundle(db, org_id, campaign_id, ids, recordings=recordings, claims=claims):
            yield json.dumps(bundle, ensure_ascii=False) + "\n"
            await asyncio.sleep(0)
        if len(page) < PAGE_ATTEMPTS:
            return
        after = (page[-1]["claimed_at"], page[-1]["id"])


async def _bundle(
    db: Database,
    org_id: OrgId,
    campaign_id: CampaignId,
    attempt_ids: Sequence[UUID],
    *,
    recordings: Path,
    claims: Mapping[str, Any] | None,
) -> list[dict[str, Any]]:
    """In the order the attempts were made."""
    if not attempt_ids:
        return []
    async with db.system() if claims is None else db.request(claims) as connection:
        rows = await store.select_attempts(connection, org_id, campaign_id, attempt_ids)
        first_words, recorded, events, listings = await _read_beside(connection, org_id, campaign_id, rows)
    digests = await asyncio.to_thread(hash_files, recordings, recorded)
    beside = Beside(first_words, _group(recorded, "call_id"), _group(events, "call_id"), listings, digests)
    now = utc_now()
    bundles: list[dict[str, Any]] = []
    for row in rows:
        bundles.append(compose(row, beside, now=now))
        # The event loop has calls to carry: after each of hundreds, others have their turn.
        await asyncio.sleep(0)
    return bundles


async def _read_beside(
    connection: Connection, org_id: OrgId, campaign_id: CampaignId, rows: Sequence[Row]
) -> tuple[dict[UUID, Row], Sequence[Row], Sequence[Row], dict[str, list[Row]]]:
    calls = [row["call_id"] for row in rows if row["call_id"] is not None]
    phones = sorted({row["phone"] or row["contact_phone"] for row in rows})
    words = await store.select_first_words(connection, org_id, calls)
    recorded = await store.select_recordings(connection, org_id, calls)
    events = await store.select_call_events(connection, org_id, calls)
    listed = await store.select_listings(connection, org_id, campaign_id, phones)
    return {row["call_id"]: row for row in words}, recorded, events, _group(listed, "phone")


def _group(rows: Sequence[Row], key: str) -> dict[Any, list[Row]]:
    groups: defaultdict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    return dict(groups)


def hash_files(folder: Path, recordings: Sequence[Row]) -> dict[UUID, str | None]:
    """SHA-256 of each recording's file as it is now. Blocking. A path that leads out of the folder is not followed."""
    found: dict[UUID, str | None] = {}
    root = folder.resolve()
    for recording in recordings:
        path = (root / recording["path"]).resolve()
        try:
            if not path.is_relative_to(root):
                raise FileNotFoundError
            with path.open("rb") as file:
                found[recording["id"]] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            found[recording["id"]] = None
    return found
