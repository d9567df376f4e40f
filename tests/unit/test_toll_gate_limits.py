"""How often and for how much an organization dials: decisions without a database."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.ids import E164, CallId, new_id
from telephony.toll_gate.limits import DialLimitReached, Seen, Wanted, admit, counting_windows, find_rate
from telephony.toll_gate.numbering import Destination
from telephony.toll_gate.policy import DialingPolicy, RulesUnreadable, Spend, read_policy

NOW = datetime(2026, 11, 20, 23, 59, 30, tzinfo=UTC)
US, GB = Destination("US", 2), Destination("GB", 0)
KIM, LEE, LONDON = E164("+12025550123"), E164("+12025550145"), E164("+442079460000")


def policy(**rules: Any) -> DialingPolicy:
    return DialingPolicy.model_validate(rules)


def wanted(*numbers: E164) -> list[Wanted]:
    return [Wanted(to, GB if to.startswith("+44") else US, CallId(new_id())) for to in numbers]


def let_through(rules: DialingPolicy, *numbers: E164, seen: Seen | None = None) -> list[bool]:
    verdicts, _ = admit(rules, wanted(*numbers), seen or Seen(), now=NOW)
    return [verdict is None for verdict in verdicts]


def test_without_limits_nothing_is_counted() -> None:
    assert not DialingPolicy().has_limits
    verdicts, tally = admit(DialingPolicy(), wanted(KIM, KIM), Seen(), now=NOW)
    assert verdicts == [None, None]
    assert (dict(tally.counts), tally.charges) == ({}, {})


def test_within_a_batch_the_earlier_dials_count_for_the_later_ones() -> None:
    assert let_through(policy(calls={"per_minute": 2}), KIM, LEE, LONDON) == [True, True, False]
    assert let_through(policy(per_number={"per_day": 1}), KIM, KIM, LEE) == [True, False, True]


def test_a_country_and_a_prefix_have_limits_of_their_own() -> None:
    rules = policy(destinations=[{"country": "GB", "per_hour": 1}, {"prefix": "+1202", "per_day": 1}])
    assert let_through(rules, LONDON, LONDON, KIM, LEE, E164("+14155550100")) == [True, False, True, False, True]


def test_what_waits_is_told_until_when() -> None:
    seen = Seen(buckets={"60": {NOW - timedelta(seconds=20): 1}})
    [verdict], _ = admit(policy(calls={"per_minute": 1}), wanted(KIM), seen, now=NOW)
    assert isinstance(verdict, DialLimitReached)
    assert verdict.retry_at == NOW + timedelta(seconds=41)
    assert verdict.extra["retry_after_seconds"] == 42
    assert verdict.status == 429


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 40), st.integers(1, 4)), min_size=1, max_size=60),
    st.integers(1, 12),
    st.sampled_from(["per_minute", "per_hour"]),
)
def test_no_window_of_a_limits_length_ever_holds_more_and_none_starves(
    steps: list[tuple[float, int]], most: int, name: str
) -> None:
    """Against every window there is, not only those that a bucket begins; and what waited is let in by `retry_at`."""
    rules = policy(calls={name: most})
    [window] = counting_windows(rules, KIM, US)
    now, buckets, passed = NOW, Counter[datetime](), list[datetime]()
    for pause, batch in steps:
        now += timedelta(seconds=pause * (1 if name == "per_minute" else 60))
        verdicts, tally = admit(rules, wanted(*[KIM] * batch), Seen({window.key: buckets}), now=now)
        buckets.update({window.bucket(now): n for n in tally.counts.values()})
        passed += [now] * tally.counts[window.key]
        for refused in [verdict for verdict in verdicts if verdict]:
            assert now < refused.retry_at <= now + timedelta(seconds=window.seconds) + window.width
            later, _ = admit(rules, wanted(KIM), Seen({window.key: buckets}), now=refused.retry_at)
            assert later == [None]
    for first in passed:
        assert sum(first <= at < first + timedelta(seconds=window.seconds) for at in passed) <= most


RATES = [{"prefix": "+1", "per_1000_minutes_minor": 850}, {"prefix": "+1202", "per_1000_minutes_minor": 2000}]


def spending(**caps: Any) -> DialingPolicy:
    return policy(spend={"currency": "USD", "reserve_minutes": 2, "rates": RATES, **caps})


def test_the_longest_prefix_is_the_rate() -> None:
    spend = spending().spend
    assert isinstance(spend, Spend)
    assert find_rate(spend, KIM) == 2000
    assert find_rate(spend, E164("+14155550100")) == 850
    assert find_rate(spend, LONDON) is None


def test_money_is_set_aside_for_each_dial_until_the_cap_has_no_room() -> None:
    rules = spending(per_day_minor=8)  # 8,000 thousandths: two dials of 2 minutes at 2,000
    verdicts, tally = admit(rules, wanted(KIM, KIM, KIM, E164("+14155550100")), Seen(), now=NOW)
    assert [verdict is None for verdict in verdicts] == [True, True, False, False]
    assert list(tally.charges.values()) == [(2000, 4000), (2000, 4000)]
    assert tally.spent == 8000


@pytest.mark.parametrize(
    ("caps", "seen", "until"),
    [
        ({"per_day_minor": 5}, Seen(spent_day=4000), datetime(2026, 11, 21, tzinfo=UTC)),
        ({"per_month_minor": 5}, Seen(spent_month=4000), datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
def test_a_spent_cap_opens_again_with_the_next_day_or_month(caps: dict[str, int], seen: Seen, until: datetime) -> None:
    [verdict], tally = admit(spending(**caps), wanted(KIM), seen, now=NOW)
    assert verdict is not None
    assert verdict.retry_at == until
    assert not tally.counts
    assert not tally.charges


@pytest.mark.parametrize(
    "rules",
    [
        {"allowed_countries": ["XX"]},
        {"allowed_countries": ["001"]},
        {"allowed_countries": ["us"]},
        {"refused_prefixes": ["1900"]},
        {"refused_prefixes": ["+"]},
        {"destinations": [{"per_minute": 1}]},
        {"destinations": [{"country": "GB", "prefix": "+44", "per_minute": 1}]},
        {"calls": {"per_minute": 0}},
        {"spend": {"currency": "USD", "rates": []}},
        {"spend": {"currency": "dollars", "rates": RATES}},
        {"spend": {"currency": "USD", "rates": [{"prefix": "+1", "per_1000_minutes_minor": 0.5}]}},
        {"unknown": 1},
    ],
)
def test_rules_that_mean_nothing_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DialingPolicy.model_validate(rules)


@pytest.mark.parametrize(
    ("rules", "own"), [({"calls": {"per_minute": "many"}}, {}), (None, {"allowed_countries": "GB"})]
)
def test_rules_that_cannot_be_read_allow_nothing_and_say_what_to_do(rules: Any, own: dict[str, Any]) -> None:
    with pytest.raises(RulesUnreadable, match="set them anew"):
        read_policy(rules, own)


def test_an_organization_without_rules_keeps_the_countries_of_its_settings() -> None:
    assert read_policy(None, {"allowed_countries": ["GB"]}).allowed_countries == ["GB"]
    assert read_policy({}, {"allowed_countries": ["GB"]}).allowed_countries == []
