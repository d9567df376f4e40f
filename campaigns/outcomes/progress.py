"""How far a campaign is, at one instant: funnel, rate, pace, forecast.

Nothing here counts contacts (the one that is due last is found by an index). Every statement that changes contacts or
attempts appends what it changed to `campaign_counts` (a trigger, see the migration), and a campaign's counts are the
sum of its few rows there: exact, and as cheap at ten million contacts as at ten. `keep_counts` merges the rows, takes
the samples that rates come from, and counts where those who wait are (`zones.py`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from app.db import Connection, Database, DatabaseUnavailable, Row
from app.ids import CampaignId, OrgId
from app.logs import get_logger
from app.tasks import pause
from campaigns.campaigns import CampaignNotFound
from campaigns.contacts import ContactStatus
from campaigns.outcomes import progress_store as store
from campaigns.outcomes.event_store import delete_old_events
from campaigns.outcomes.pace import (
    FORECAST_WINDOW_SECONDS,
    Pace,
    Sample,
    find_forecast_start,
    forecast_finish,
    measure_pace,
)
from campaigns.outcomes.tables import write_instant
from campaigns.outcomes.webhooks.store import delete_old_deliveries
from campaigns.outcomes.zones import count_zones, load_waiting
from campaigns.rules.dispositions import NOT_A_CONVERSATION, Disposition

log = get_logger(__name__)

Counted = Row | Mapping[str, Any]
CONTACT_STATUSES = tuple(status.value.replace("-", "_") for status in ContactStatus)
ATTEMPT_STATUSES = ("claimed", "dialing", "placed", "uncertain", "settled", "released")
FOLD_EVERY_SECONDS = 5.0
EVENTS_KEPT_DAYS = 90
DELIVERIES_KEPT_DAYS = 30
FORGOTTEN_AT_ONCE = 5_000

UNANSWERED = NOT_A_CONVERSATION - {Disposition.VOICEMAIL, Disposition.VOICEMAIL_LEFT, Disposition.ABANDONED}
"""With every other outcome somebody, or a machine, picked up."""


@dataclass(frozen=True)
class Progress:
    """`contacts`: by status (underscores). `attempts`: by status, and `dialed`: requests that went, or may have gone,
    out. `dispositions`: contacts by what came of their last attempt. `funnel`: contacts → called → answered → talked
    to, each a part of the one before. `answer_rate`: of the dials that are over, 0 to 1. `finishes_at`: at the pace of
    the last ten minutes in which it was open for anybody, while it is open where they are, and not before the last one
    who waits is due; None while that says nothing."""

    at: datetime
    name: str
    status: str
    pause_reason: str | None
    contacts: Mapping[str, int]
    attempts: Mapping[str, int]
    dispositions: Mapping[str, int]
    funnel: Mapping[str, int] = field(default_factory=dict[str, int])
    answer_rate: float | None = None
    pace: Pace = field(default_factory=Pace)
    finishes_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "at": write_instant(self.at),
            "name": self.name,
            "status": self.status,
            "pause_reason": self.pause_reason,
            "contacts": dict(self.contacts),
            "attempts": dict(self.attempts),
            "dispositions": dict(self.dispositions),
            "funnel": dict(self.funnel),
            "answer_rate": self.answer_rate,
            "pace": {
                "dials_per_minute": self.pace.dials_per_minute,
                "answers_per_minute": self.pace.answers_per_minute,
                "finished_per_minute": self.pace.finished_per_minute,
            },
            "finishes_at": write_instant(self.finishes_at),
        }


async def load_progress(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> Progress:
    """`claims`: who asks, None for our own processes. Raises CampaignNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        return await read_progress(connection, org_id, campaign_id)


async def read_progress(connection: Connection, org_id: OrgId, campaign_id: CampaignId) -> Progress:
    """In the caller's transaction. Raises CampaignNotFound."""
    state = await store.select_campaign_state(connection, org_id, campaign_id)
    if state is None:
        raise CampaignNotFound("There is no such campaign.")
    counts = await store.sum_counts(connection, org_id, campaign_id)
    open_attempts = await store.count_open_attempts(connection, org_id, campaign_id)
    since = state["now"] - timedelta(seconds=FORECAST_WINDOW_SECONDS)
    rows = await store.select_samples(connection, org_id, campaign_id, since=since, limit=200)
    samples = [Sample(**dict(row)) for row in rows]
    progress, now = add_up(state, counts, open_attempts, samples)
    if progress.status != "running":
        return progress
    return replace(progress, finishes_at=await _find_finish(connection, state, now))


async def _find_finish(connection: Connection, state: Row, now: Sample) -> datetime | None:
    """A few rows of indexes, however many contacts there are."""
    named = (connection, state["org_id"], state["id"])
    waiting = await load_waiting(connection, state)
    before = await store.select_sample_of(*named, find_forecast_start(now.at, waiting))
    samples = [Sample(**dict(before))] if before else []
    return forecast_finish(now, samples, waiting, await store.select_last_due(*named))


def add_up(
    state: Counted, counts: Sequence[Counted], open_attempts: Sequence[Counted], samples: Sequence[Sample]
) -> tuple[Progress, Sample]:
    """The rows of the store → progress without a forecast, and the counts of this instant. `samples`: newest first."""
    contacts, dispositions, funnel = _add_contacts(counts)
    attempts, now = _add_attempts(state["now"], counts, open_attempts, contacts)
    over = sum(row["count"] for row in counts if _was_dialed(row))
    progress = Progress(
        at=now.at,
        name=state["name"],
        status=state["status"],
        pause_reason=state["pause_reason"],
        contacts=contacts,
        attempts=attempts,
        dispositions=dispositions,
        funnel=funnel,
        answer_rate=round(now.answered / over, 4) if over else None,
        pace=measure_pace(now, samples),
    )
    return progress, now


def _add_contacts(counts: Sequence[Counted]) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """→ contacts by status, by disposition, and the funnel."""
    statuses: dict[str, int] = dict.fromkeys(CONTACT_STATUSES, 0)
    words: dict[str, int] = {}
    called = talked = 0
    for row in counts:
        if row["what"] != "contacts":
            continue
        status, word, count = row["status"].replace("-", "_"), row["disposition"], row["count"]
        statuses[status] = statuses.get(status, 0) + count
        if word is None:
            continue
        words[word] = words.get(word, 0) + count
        if status != "blocked":
            called += count
            talked += count if word not in NOT_A_CONVERSATION else 0
    funnel = {"contacts": sum(statuses.values()), "called": called, "talked_to": talked}
    return statuses, dict(sorted(words.items())), funnel


def _add_attempts(
    at: datetime, counts: Sequence[Counted], open_attempts: Sequence[Counted], contacts: Mapping[str, int]
) -> tuple[dict[str, int], Sample]:
    """→ attempts by status with `dialed`, and the counts of this instant as a sample."""
    attempts: dict[str, int] = dict.fromkeys(ATTEMPT_STATUSES, 0)
    for row in (*open_attempts, *(row for row in counts if row["what"] == "attempts")):
        attempts[row["status"]] = attempts.get(row["status"], 0) + row["count"]
    over = [row for row in counts if _was_dialed(row)]
    dialed = sum(row["count"] for row in (*over, *(row for row in open_attempts if row["dialed"])))
    answered = sum(row["count"] for row in over if row["disposition"] not in UNANSWERED)
    finished = contacts["finished"] + contacts["blocked"]
    remaining = contacts["waiting"] + contacts["in_flight"]
    return {**attempts, "dialed": dialed}, Sample(at, dialed, answered, finished, remaining)


def _was_dialed(row: Counted) -> bool:
    """An attempt that is over and may have rung."""
    return row["what"] == "attempts" and row["status"] == "settled" and row["dialed"]


async def keep_counts(db: Database, stopping: asyncio.Event) -> None:
    """Merge count rows, take samples and forget what is old, until told to stop. Any number may do so at once."""
    while not stopping.is_set():
        try:
            await tend_counts(db)
        except DatabaseUnavailable as error:
            log.warning("counts are not kept for now", why=error.detail)
        # The outermost loop: whatever it was, the next round comes.
        except Exception:
            log.exception("a round of counts failed; trying again")
        await pause(stopping, FOLD_EVERY_SECONDS)


async def tend_counts(db: Database) -> None:
    """One round of `keep_counts`."""
    async with db.system() as connection:
        campaigns = await store.select_unfolded(connection)
        for campaign_id in campaigns:
            await store.fold_counts(connection, campaign_id)
    async with db.system() as connection:
        await store.insert_samples(connection, unanswered=sorted(UNANSWERED))
        await store.thin_samples(connection)
    async with db.system() as connection:
        await count_zones(connection)
    async with db.system() as connection:
        await delete_old_events(connection, days=EVENTS_KEPT_DAYS, limit=FORGOTTEN_AT_ONCE)
        await delete_old_deliveries(connection, days=DELIVERIES_KEPT_DAYS, limit=FORGOTTEN_AT_ONCE)
