"""What one call leaves for the next."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.ids import E164
from campaigns.rules.callbacks import read_callback, recall, remember, remember_refused, unfit_numbers, zone_for
from telephony.carriers.base import NumberFault

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)  # ten in New York
NEW_YORK = ZoneInfo("America/New_York")
PHONE, OTHER = E164("+12025550110"), E164("+12025550111")


def hint(**details: Any) -> dict[str, Any]:
    return {"disposition": "callback", "details": details}


def test_a_stated_instant_is_taken_and_words_are_read_in_the_contacts_zone() -> None:
    stated = hint(callback_at="2026-11-21T14:00:00-05:00", callback_text="whenever")
    assert read_callback(stated, zone=NEW_YORK, now=NOW) == datetime(2026, 11, 21, 19, tzinfo=UTC)
    said = hint(callback_text="after lunch")
    assert read_callback(said, zone=NEW_YORK, now=NOW) == datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
    assert read_callback(said, zone=ZoneInfo("Asia/Kolkata"), now=NOW) == datetime(2026, 11, 21, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "left",
    [
        {},
        {"details": 7},
        hint(callback_at=7),
        hint(callback_at="soon"),
        hint(callback_at="2026-11-21T14:00:00"),
        hint(callback_at="2020-01-01T00:00:00Z"),
        hint(callback_at="2099-01-01T00:00:00Z"),
        hint(callback_text="whenever"),
    ],
)
def test_what_makes_no_sense_is_no_callback(left: dict[str, Any]) -> None:
    assert read_callback(left, zone=NEW_YORK, now=NOW) is None


def test_words_without_any_zone_are_not_guessed() -> None:
    assert read_callback(hint(callback_text="after lunch"), zone=None, now=NOW) is None


def test_the_lists_zone_comes_before_that_of_the_number() -> None:
    assert zone_for("Europe/Berlin", PHONE) == ZoneInfo("Europe/Berlin")
    assert zone_for(None, PHONE) == NEW_YORK
    assert zone_for(None, E164("+8707731112345")) is None


def test_the_next_agent_is_told_of_the_last_call_and_of_the_last_talk() -> None:
    talked = remember({}, at=NOW, disposition="callback", phone=PHONE, hint=hint(reason="pain"), answered=True)
    later = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
    rang = remember(talked, at=later, disposition="no-answer", phone=PHONE, hint={}, answered=False)
    assert recall(rang) == {
        "last_call_at": later.isoformat(),
        "last_call_outcome": "no-answer",
        "last_talk_at": NOW.isoformat(),
        "last_talk_outcome": "callback",
        "last_talk_details": "reason: pain",
    }
    assert rang["calls"] == 2
    assert recall({}) == {}


def test_a_machine_or_dead_air_is_no_talk() -> None:
    for outcome in ("voicemail-left", "abandoned"):
        kept = remember({}, at=NOW, disposition=outcome, phone=PHONE, hint={}, answered=True)
        assert "last_talk" not in kept


def test_wrong_numbers_are_kept_and_what_is_kept_is_bounded() -> None:
    memory: dict[str, Any] = {}
    for phone in (PHONE, OTHER, PHONE):
        memory = remember(memory, at=NOW, disposition="wrong-number", phone=phone, hint={}, answered=True)
    assert memory["wrong_numbers"] == [PHONE, OTHER]
    flood = hint(**{f"f{n}": "x" * 10_000 for n in range(500)}, nested={"a": 1})
    kept = remember({}, at=NOW, disposition="reached", phone=PHONE, hint=flood, answered=True)
    assert len(str(kept)) < 10_000


def test_a_refused_number_is_remembered_until_the_carrier_dials_it() -> None:
    refused = remember_refused({"calls": 1}, phone=PHONE, fault=NumberFault.FORBIDDEN)
    assert (refused, unfit_numbers(refused)) == ({"calls": 1, "refused_numbers": [PHONE]}, {PHONE})
    invalid = remember_refused(refused, phone=OTHER, fault=NumberFault.INVALID)
    assert (invalid["wrong_numbers"], unfit_numbers(invalid)) == ([OTHER], {PHONE, OTHER})
    assert remember_refused(invalid, phone=PHONE, fault=None) == invalid
    elsewhere = remember(invalid, at=NOW, disposition="no-answer", phone=OTHER, hint={}, answered=False)
    assert PHONE in unfit_numbers(elsewhere)
    dialed = remember(invalid, at=NOW, disposition="no-answer", phone=PHONE, hint={}, answered=False)
    assert unfit_numbers(dialed) == {OTHER}
