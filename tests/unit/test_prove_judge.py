"""The judge of the fast runs is judged itself: each wrong is found, and what is right is not accused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from tests.prove.fast.crowd import Listing, Person, fictional_numbers, gather_crowd, minute, zone_at_noon
from tests.prove.fast.judge import Dial, Findings, Listed, check_books, judge, read_dials

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ANN, BEN = "+12015550100", "+61255500001"


def dial(phone: str = ANN, *, at: datetime = NOON, attempt: str = "a", listing: str = "one") -> Dial:
    return Dial(at, phone, attempt, listing)


def found(dials: list[Dial], *listings: Listing, entries: list[Listed] | None = None) -> dict[str, int]:
    return dict(judge(dials, listings, entries or []).counts)


def test_a_dial_on_the_wrong_side_of_a_half_hour_zone_is_outside_hours() -> None:
    listing = Listing("one", [Person(ANN, "Asia/Kolkata")], open=("09:00", "17:30"))
    assert found([dial(at=NOON - timedelta(seconds=1))], listing) == {}
    assert found([dial(at=NOON)], listing) == {"dials outside hours": 1}  # 17:30 in Kolkata


def test_without_a_zone_the_hours_must_hold_wherever_the_number_may_be() -> None:
    # +61 8 is Adelaide, and Perth two and a half hours behind it.
    listing = Listing("one", [Person("+61870100001", "")], open=("09:00", "20:00"))
    early = datetime(2026, 11, 19, 23, 0, tzinfo=UTC)  # 09:30 in Adelaide, 07:00 in Perth
    assert found([dial("+61870100001", at=early)], listing) == {"dials outside hours": 1}


def test_the_dial_after_the_last_that_a_cap_allows_is_over_it() -> None:
    capped, free = Listing("one", [Person(ANN, "")], per_number=2), Listing("two", [Person(ANN, "")])
    dials = [dial(at=NOON + timedelta(hours=n), attempt=str(n), listing="two") for n in range(2)]
    third = dial(at=NOON + timedelta(hours=3), attempt="x")
    assert found([*dials, third], capped, free) == {"dials over a cap": 1}
    next_day = dial(at=NOON + timedelta(hours=26), attempt="x")
    assert found([*dials, next_day], capped, free) == {}


def test_dials_of_the_same_seconds_may_have_been_decided_upon_in_another_order() -> None:
    tight, free = Listing("one", [Person(ANN, "")], per_number=1), Listing("two", [Person(ANN, "")])
    first = dial(attempt="1", listing="two")

    def then(seconds: float) -> dict[str, int]:
        return found([first, dial(at=NOON + timedelta(seconds=seconds), attempt="2")], tight, free)

    assert then(2) == {}
    assert then(6) == {"dials over a cap": 1}
    twice = [dial(attempt="1"), dial(at=NOON + timedelta(seconds=2), attempt="2")]
    assert found(twice, tight) == {"dials over a cap": 1}


def test_a_number_on_a_list_may_be_dialed_for_one_second_more() -> None:
    listing = Listing("one", [Person(ANN, "")])
    just, late = NOON - timedelta(seconds=0.9), NOON - timedelta(seconds=1.1)
    assert found([dial()], listing, entries=[Listed(ANN, just, None)]) == {}
    assert found([dial()], listing, entries=[Listed(ANN, late, None)]) == {"dials to numbers on a list": 1}
    assert found([dial()], listing, entries=[Listed(ANN, late, "two")]) == {}
    assert found([dial()], listing, entries=[Listed(BEN, late, None)]) == {}


def test_an_attempt_is_dialed_once_and_only_contacts_are_dialed() -> None:
    listing = Listing("one", [Person(ANN, "")])
    assert found([dial(), dial()], listing) == {"attempts dialed twice": 1}
    assert found([dial(BEN)], listing) == {"dials to nobody's contact": 1}


def test_the_books_and_the_journal_know_the_same_dials() -> None:
    findings = Findings()
    check_books(findings, [dial(attempt="a"), dial(attempt="b")], ["b", "c"])
    assert findings.counts == {"dials that our books do not have": 1, "dials that only our books have": 1}
    assert not findings.none


def test_dials_are_read_from_the_journal_with_their_attempts(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_text(
        '{"seq":1,"at":"2026-11-20T12:00:00Z","kind":"call.created","to":"+12015550100",'
        '"url":"http://127.0.0.1:1/webhooks/twilio/answered/x?attempt=a"}\n'
        '{"seq":2,"at":"2026-11-20T12:00:01Z","kind":"call.state","status":"ringing"}\n'
    )
    assert read_dials(journal) == [Dial(NOON, ANN, "a")]


@pytest.mark.parametrize("hour", range(24))
def test_at_any_hour_there_is_a_zone_where_hours_can_begin_and_end_today(hour: int) -> None:
    now = datetime(2026, 11, 20, hour, 59, 30, tzinfo=UTC)
    zone = zone_at_noon(now)
    assert "09:59" < minute(now, 1, zone) < minute(now, 2, zone) < "15:05"


def test_the_crowd_is_as_large_as_asked_for_and_nobody_is_on_one_list_twice() -> None:
    lists = gather_crowd(4000, NOON, Random(1), moving=True)
    assert sum(len(one.people) for one in lists) == 4000
    assert {one.name for one in lists} >= {"closing", "opening"}
    for one in lists:
        assert len({person.phone for person in one.people}) == len(one.people)
    assert len(set(fictional_numbers())) == 84_800
