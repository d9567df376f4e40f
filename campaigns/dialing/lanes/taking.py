"""Taking dial slots: each is ours alone, and keeps the spacing of the campaign and of every lane it goes through."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.db import Connection
from campaigns.dialing.attempts import LATE_SECONDS, Terms
from campaigns.dialing.lanes import store
from campaigns.dialing.lanes.slots import Track, lay_slots

LATEST_SECONDS = 2.0
"""A slot later than this is not taken yet: who waits so long may be dead by then, or its campaign paused."""
MOST_OF_A_BATCH = 0.25
"""Room that is kept free behind a batch, as a part of its length: what a slow machine costs its lanes at the most."""


@dataclass(frozen=True)
class Slots:
    """`instants`: by the database's clock, ascending. `wait_seconds`: where there are fewer than asked for, when to ask
    for the next. `patience`: how many seconds behind its slot a dial of these may be."""

    instants: list[datetime]
    wait_seconds: float = 0.0
    patience: float = LATE_SECONDS


async def take_slots(
    connection: Connection, terms: Terms, count: int, *, lead_seconds: float, patience: float = LATE_SECONDS
) -> Slots | None:
    """Up to `count` slots from `lead_seconds` on, taken when the transaction commits; None: the campaign does not run.

    A dialer that needs more `patience` than every dialer has keeps the lanes free behind its slots for as long, so
    that no dial of another falls into a second with its late ones.

    Call it late in the transaction: all dialers of a lane meet here.
    """
    if not await store.lock_tracks(connection, terms.org_id, terms.campaign_id, terms.lanes):
        return None
    rows = await store.select_tracks(connection, terms.org_id, terms.campaign_id, terms.lanes)
    now: datetime = rows[0]["now"]
    # a campaign in its ramp is slower than its row says
    rates = {row["key"]: row["calls_per_second"] for row in rows}
    rates[""] = min(rates[""], terms.calls_per_second)
    tracks = [Track.of_rate(row["key"], row["next_in_seconds"], rates[row["key"]]) for row in rows]
    layout = lay_slots(tracks, count, earliest=lead_seconds, latest=max(LATEST_SECONDS, 2 * lead_seconds))
    if layout.slots:
        patience = max(LATE_SECONDS, min(patience, MOST_OF_A_BATCH * (layout.slots[-1] - layout.slots[0])))
    behind = patience if patience > LATE_SECONDS else 0.0
    following = {key: now + timedelta(seconds=seconds + behind) for key, seconds in layout.next_in_seconds.items()}
    if layout.slots:
        await store.set_next_dials(connection, terms.org_id, terms.campaign_id, following)
    wait = max(layout.next_in_seconds.values()) - lead_seconds
    return Slots([now + timedelta(seconds=slot) for slot in layout.slots], max(wait, 0.0), patience)
