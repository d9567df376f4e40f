"""The phone numbers that the account owns at the simulated carrier, kept in its journal."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from app.clock import Clock
from telephony.simulator.journal import Journal, Record

E164_PATTERN = re.compile(r"\+[1-9][0-9]{6,14}")

SETTABLE = (
    "friendly_name",
    "voice_url",
    "voice_method",
    "voice_fallback_url",
    "voice_fallback_method",
    "status_callback",
    "status_callback_method",
)


@dataclass
class OwnedNumber:
    """A number and what answers it. `texts` holds the members of SETTABLE that were ever set."""

    sid: str
    e164: str
    created_at: datetime
    updated_at: datetime
    texts: dict[str, str] = field(default_factory=dict[str, str])

    def text(self, name: str, default: str = "") -> str:
        return self.texts.get(name, default)


class Numbers:
    """All owned numbers, oldest first."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._by_sid: dict[str, OwnedNumber] = {}

    def buy(self, e164: str, texts: Mapping[str, str]) -> OwnedNumber:
        now = self._clock()
        number = OwnedNumber(f"PN{uuid4().hex}", e164, now, now, dict(texts))
        self._by_sid[number.sid] = number
        self._note("number.bought", number)
        return number

    def change(self, number: OwnedNumber, texts: Mapping[str, str]) -> None:
        number.texts.update(texts)
        number.updated_at = self._clock()
        self._note("number.changed", number)

    def release(self, number: OwnedNumber) -> None:
        del self._by_sid[number.sid]
        self._note("number.released", number)

    def get(self, sid: str) -> OwnedNumber | None:
        return self._by_sid.get(sid)

    def find(self, e164: str) -> OwnedNumber | None:
        return next((number for number in self._by_sid.values() if number.e164 == e164), None)

    def list(self) -> list[OwnedNumber]:
        return list(self._by_sid.values())

    def restore(self, record: Record) -> None:
        """Apply one record of an earlier run."""
        if record["kind"] == "number.released":
            self._by_sid.pop(record["sid"], None)
            return
        at = datetime.fromisoformat(record["at"])
        known = self._by_sid.get(record["sid"])
        created_at = known.created_at if known else at
        self._by_sid[record["sid"]] = OwnedNumber(record["sid"], record["e164"], created_at, at, dict(record["texts"]))

    def _note(self, kind: str, number: OwnedNumber) -> None:
        self._journal.note(kind, sid=number.sid, e164=number.e164, texts=number.texts)


def is_e164(text: str) -> bool:
    return E164_PATTERN.fullmatch(text) is not None
