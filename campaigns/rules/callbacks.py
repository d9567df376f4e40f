"""What one call leaves for the next: an instant at which the person wants to be called, and what was said. Pure."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from app.ids import E164
from app.spoken_time import FURTHEST, read_spoken_time
from campaigns.rules.calling.places import find_place
from campaigns.rules.dispositions import NOT_A_CONVERSATION, Disposition
from telephony.carriers.base import NumberFault

MOST_DETAILS = 20
MOST_CHARACTERS = 300
MOST_WRONG_NUMBERS = 20
STALE = timedelta(days=1)
"""An instant that passed so long before its call was settled is a mistake."""


def zone_for(time_zone: str | None, phone: E164) -> ZoneInfo | None:
    """The contact's own zone, else the first that the number may be in: for what people say, which calling hours check
    once more. None where nobody knows."""
    if time_zone:
        return ZoneInfo(time_zone)
    zones = find_place(phone).zones
    return ZoneInfo(zones[0]) if zones else None


def read_callback(hint: Mapping[str, Any], *, zone: ZoneInfo | None, now: datetime) -> datetime | None:
    """When the person wants to be called again, by the hint's details: `callback_at` (RFC 3339), else `callback_text`
    ("after lunch") in their zone. None where there is neither, or no sense in it."""
    details = _details(hint)
    stated = details.get("callback_at")
    if isinstance(stated, str):
        try:
            at = datetime.fromisoformat(stated)
        except ValueError:
            at = None
        if at is not None and at.tzinfo is not None and now - STALE <= at <= now + FURTHEST:
            return at
    said = details.get("callback_text")
    if isinstance(said, str) and zone is not None:
        return read_spoken_time(said, now.astimezone(zone))
    return None


def remember(
    memory: Mapping[str, Any], *, at: datetime, disposition: str, phone: E164, hint: Mapping[str, Any], answered: bool
) -> dict[str, Any]:
    """`contacts.memory` after a call: {"calls", "last_call": {at, outcome}, "last_talk": {at, outcome, details},
    "wrong_numbers", "refused_numbers"}. What was said stays until they are talked to again."""
    kept = dict(memory)
    kept["calls"] = int(kept.get("calls", 0)) + 1
    kept["last_call"] = {"at": at.isoformat(), "outcome": disposition}
    if answered and disposition not in NOT_A_CONVERSATION:
        details = {
            str(name)[:60]: value[:MOST_CHARACTERS] if isinstance(value, str) else value
            for name, value in list(_details(hint).items())[:MOST_DETAILS]
            if isinstance(value, str | int | float | bool)
        }
        kept["last_talk"] = {"at": at.isoformat(), "outcome": disposition, "details": details}
    if disposition == Disposition.WRONG_NUMBER:
        kept["wrong_numbers"] = _with(kept.get("wrong_numbers", ()), phone)
    if phone in kept.get("refused_numbers", ()):
        # The carrier dialed it after all: somebody opened the account to it.
        kept["refused_numbers"] = [number for number in kept["refused_numbers"] if number != phone]
    return kept


def remember_refused(memory: Mapping[str, Any], *, phone: E164, fault: NumberFault | None) -> dict[str, Any]:
    """`contacts.memory` after a dial that the carrier refused. Nobody was called, so nothing else changes."""
    if fault is None:
        return dict(memory)
    key = "wrong_numbers" if fault is NumberFault.INVALID else "refused_numbers"
    return {**memory, key: _with(memory.get(key, ()), phone)}


def unfit_numbers(memory: Mapping[str, Any]) -> frozenset[str]:
    """Which of a contact's numbers are not to be dialed again: wrong ones, and those that the carrier refuses."""
    return frozenset((*memory.get("wrong_numbers", ()), *memory.get("refused_numbers", ())))


def _with(numbers: Collection[str], phone: E164) -> list[str]:
    return sorted({*numbers, phone})[:MOST_WRONG_NUMBERS]


def recall(memory: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that the agent of the next call gets: last_call_at, last_call_outcome and, if somebody was talked
    to, last_talk_at, last_talk_outcome, last_talk_details ("reason: pain; preferred_day: Monday"). Empty before."""
    found: dict[str, Any] = {}
    for key in ("last_call", "last_talk"):
        told = memory.get(key)
        if isinstance(told, Mapping):
            told = cast(Mapping[str, Any], told)
            found |= {f"{key}_{name}": told[name] for name in ("at", "outcome") if name in told}
            if details := told.get("details"):
                found[f"{key}_details"] = "; ".join(f"{name}: {value}" for name, value in details.items())
    return found


def _details(hint: Mapping[str, Any]) -> Mapping[str, Any]:
    details = hint.get("details")
    return cast(Mapping[str, Any], details) if isinstance(details, Mapping) else {}
