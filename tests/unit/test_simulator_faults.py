"""Faults on order: whom they meet, how often, and that a run with them can be repeated. And the book of calls."""

from datetime import UTC, datetime
from random import Random

import pytest

from telephony.simulator.calls.book import CallBook
from telephony.simulator.calls.record import CallRecord
from telephony.simulator.faults import FaultOrder, Faults, Target

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def ordered(**order: object) -> Faults:
    faults = Faults()
    faults.order(FaultOrder.model_validate(order))
    return faults


def test_a_fault_happens_as_often_as_ordered_and_then_no_more() -> None:
    faults = ordered(kind="status_429", count=2)
    met = [faults.take(Target.DIAL, Random(n)) is not None for n in range(4)]
    assert met == [True, True, False, False]


def test_a_fault_meets_only_what_it_is_about() -> None:
    faults = ordered(kind="webhook_missing", count=None, to="+1202555", event="completed")
    assert faults.take(Target.DIAL, Random(1), to="+12025550110", event="completed") is None
    assert faults.take(Target.WEBHOOK, Random(1), to="+442079460900", event="completed") is None
    assert faults.take(Target.WEBHOOK, Random(1), to="+12025550110", event="ringing") is None
    assert faults.take(Target.WEBHOOK, Random(1), to="+12025550110", event="completed") is not None


def test_a_rate_is_a_chance_of_each_call_and_the_same_calls_meet_it_again() -> None:
    def met() -> list[bool]:
        faults = ordered(kind="lose_response", count=None, rate=0.25)
        return [faults.take(Target.DIAL, Random(f"4:+1202555{n:04}:1")) is not None for n in range(400)]

    assert met() == met()
    assert 70 <= sum(met()) <= 130


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        ({"kind": "webhook_duplicate", "seconds": 3}, "takes no seconds"),
        ({"kind": "status_500", "event": "completed"}, "takes no event"),
        ({"kind": "explode"}, "Input should be"),
        ({"kind": "delay", "count": 0}, "greater than or equal to 1"),
    ],
)
def test_an_order_that_means_nothing_is_refused(order: dict[str, object], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        FaultOrder.model_validate(order)


def call(n: int, *, to: str = "+12025550110", over: bool = True) -> CallRecord:
    return CallRecord(f"CA{n}", "outbound-api", to, "+12025550101", "x", NOW, NOW, status="busy" if over else "ringing")


def test_the_book_keeps_the_newest_calls_and_counts_all_of_a_number() -> None:
    book = CallBook(keep=3)
    for n in range(5):
        book.add(call(n))
    book.add(call(5, to="+12025550111"))
    assert list(book) == ["CA3", "CA4", "CA5"]
    assert [one.sid for one in book.newest_first("+12025550110")] == ["CA4", "CA3"]
    assert [one.sid for one in book.newest_first()] == ["CA5", "CA4", "CA3"]
    assert book.next_ordinal("+12025550110") == 6
    assert book.get("CA0") is None


def test_every_request_for_a_number_is_another_one_also_after_a_restart() -> None:
    book = CallBook()
    assert [book.ask("+12025550110"), book.ask("+12025550110"), book.ask("+12025550111")] == [1, 2, 1]
    restored = CallBook()
    restored.add(call(0))
    assert restored.ask("+12025550110") == 2


def test_a_call_that_is_not_over_stays_in_the_book() -> None:
    book = CallBook(keep=2)
    book.add(call(0, over=False))
    for n in range(1, 5):
        book.add(call(n))
    assert "CA0" in book
