"""What an operator writes up of a call that was theirs: what it came to, and what they noted.

It is left where agents leave theirs, as the call's hint; the attempt is settled by it once they are done, or once their
time to write up is over (`dialing/settling_store.py::select_ended`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.db import Connection, Database
from app.errors import InvalidInput
from app.spoken_time import FURTHEST, read_spoken_time
from campaigns import contact_store
from campaigns.rules.callbacks import zone_for
from campaigns.rules.dispositions import NOT_A_PERSONS_WORD, Disposition
from telephony.floor import operator_store
from telephony.floor.operators import NoCall, Operator
from telephony.hints import leave_hint_in, read_word, spell, spell_name


class InvalidOutcome(InvalidInput):
    """What the call came to cannot be written up like this."""

    code = "invalid_outcome"


@dataclass(frozen=True)
class WriteUp:
    """`outcome`: one of our words (`Disposition`) or any of the campaign's own. `details`: columns of reports.
    `callback`: when the person wants to be called again, as an instant (ISO 8601) or in words ("tomorrow after lunch"),
    by their clocks unless it has an offset; only with the outcome `callback`, which may do without it. `done`: they
    write nothing more."""

    call_id: UUID
    outcome: str
    details: Mapping[str, str | int | float | bool] = field(default_factory=dict[str, str | int | float | bool])
    callback: str | None = None
    done: bool = False


async def write_up(db: Database, operator: Operator, written: WriteUp, *, now: datetime) -> dict[str, Any]:
    """→ all that the call has now, {"disposition", "details"}; whoever asked never to be called again stays
    `do-not-call`. The last write-up counts. Raises InvalidOutcome, NoCall."""
    word = spell(written.outcome)
    if not any(map(str.isalnum, word)):
        raise InvalidOutcome("An outcome has letters: reached, callback, or a word of your own.")
    if word in NOT_A_PERSONS_WORD:
        raise InvalidOutcome(f'"{word}" is for calls in which nobody was talked to; choose a word for what was said.')
    if written.callback is not None and word != Disposition.CALLBACK:
        raise InvalidOutcome('Who wants to be called again has the outcome "callback".')
    async with db.system() as connection:
        # Held until the commit: their time does not end in the middle, and nobody settles the attempt without this.
        if not await operator_store.hold_writer(connection, operator.id, written.call_id):
            raise NoCall("This call is not theirs to write up: it never was, or their time for it is over.")
        noted = {spell_name(name): value for name, value in written.details.items()}
        details = {**noted, **await _read_callback(connection, written, now)}
        left = await leave_hint_in(connection, written.call_id, {"disposition": word, "details": details})
        if written.done:
            await operator_store.end_wrap_up(connection, operator.id, written.call_id)
    assert left is not None  # it is theirs
    return {"disposition": read_word(left), "details": left["details"]}


async def _read_callback(connection: Connection, written: WriteUp, now: datetime) -> dict[str, str]:
    """As `rules/callbacks.py::read_callback` reads it. Raises InvalidOutcome."""
    if written.callback is None:
        return {}
    row = await contact_store.select_called(connection, written.call_id)
    zone = zone_for(row["time_zone"], row["phone"]) if row else None
    if zone is None and not _is_instant(written.callback):
        raise InvalidOutcome("Nobody knows by which clocks they live: give an instant with its offset.")
    at = read_spoken_time(written.callback, now.astimezone(zone or UTC))
    if at is None:
        raise InvalidOutcome(
            f'"{written.callback}" names no time ahead, within {FURTHEST.days} days: '
            'say "tomorrow at three", or give an instant.'
        )
    return {"callback_at": at.isoformat(), "callback_text": written.callback}


def _is_instant(text: str) -> bool:
    try:
        return datetime.fromisoformat(text.strip()).tzinfo is not None
    except ValueError:
        return False
