"""Does one more dial fit under the organization's limits? Pure: what was counted goes in, a verdict for each dial comes
out.

A limit of N per window holds in every window of that length: dials are counted in buckets of a sixtieth of it, and a
bucket counts until all of it is out of the window. That costs a sixtieth of the rate at the most, and never allows
more than N.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

from app.errors import TrunklineError
from app.ids import E164, CallId
from telephony.toll_gate.numbering import Destination
from telephony.toll_gate.policy import DialingPolicy, Spend

BUCKETS = 60
MILLI = 1000
"""Money is counted in thousandths of the minor unit, where a rate per 1,000 minutes is a whole number a minute."""


class DialLimitReached(TrunklineError):
    """Allowed, but not now: too many dials, or too much money. Nothing is wrong with the destination: a campaign waits.
    `retry_at`: when the limit has room again at the earliest."""

    status = 429
    code = "dial_limit_reached"
    title = "Dialing limit reached"

    def __init__(self, detail: str, *, retry_at: datetime, now: datetime) -> None:
        wait = max(1, int((retry_at - now).total_seconds()) + 1)
        super().__init__(detail, retry_after_seconds=wait)
        self.retry_at = retry_at


@dataclass(frozen=True)
class Wanted:
    """A dial that asks to be let through."""

    to: E164
    destination: Destination
    call_id: CallId


@dataclass(frozen=True)
class Window:
    """One limit: at most `most` in any `seconds`, of the dials that carry `key`."""

    key: str
    seconds: int
    most: int
    what: str

    @property
    def width(self) -> timedelta:
        return timedelta(seconds=self.seconds / BUCKETS)

    def bucket(self, now: datetime) -> datetime:
        """The start of the bucket that `now` is in."""
        step = self.seconds / BUCKETS
        return datetime.fromtimestamp(now.timestamp() // step * step, UTC)

    def oldest(self, now: datetime) -> datetime:
        """Buckets that begin at or before this do not count any more."""
        return now - timedelta(seconds=self.seconds) - self.width


@dataclass(frozen=True)
class Seen:
    """What was counted before. `buckets`: dials by window key and bucket start. `numbers`: dials by number and window
    seconds. `spent_day`, `spent_month`: thousandths of the minor unit."""

    buckets: Mapping[str, Mapping[datetime, int]] = field(default_factory=dict[str, Mapping[datetime, int]])
    numbers: Mapping[tuple[E164, int], int] = field(default_factory=dict[tuple[E164, int], int])
    spent_day: int = 0
    spent_month: int = 0


@dataclass
class Tally:
    """What this batch adds. `counts`: dials by window key. `charges`: (rate a minute, set aside) by call."""

    counts: Counter[str] = field(default_factory=Counter[str])
    numbers: Counter[E164] = field(default_factory=Counter[E164])
    charges: dict[CallId, tuple[int, int]] = field(default_factory=dict[CallId, tuple[int, int]])
    spent: int = 0


def counting_windows(policy: DialingPolicy, to: E164, destination: Destination) -> list[Window]:
    """The windows that a dial counts in."""
    windows = [Window(f"{seconds}", seconds, most, "calls") for seconds, most in policy.calls.windows()]
    for limit in policy.destinations:
        name = limit.country or limit.prefix or ""
        if destination.country == limit.country or (limit.prefix and to.startswith(limit.prefix)):
            windows += [
                Window(f"{seconds} {name}", seconds, most, f"calls to {name}") for seconds, most in limit.windows()
            ]
    return windows


def find_rate(spend: Spend, to: E164) -> int | None:
    """Thousandths of the minor unit a minute, by the longest prefix; None where no rate is known."""
    fitting = [rate for rate in spend.rates if to.startswith(rate.prefix)]
    return max(fitting, key=lambda rate: len(rate.prefix)).per_1000_minutes_minor if fitting else None


def admit(
    policy: DialingPolicy, wanted: Sequence[Wanted], seen: Seen, *, now: datetime
) -> tuple[list[DialLimitReached | None], Tally]:
    """A verdict for each dial, in order, and what those let through add to the counts. Within a batch the earlier ones
    count for the later ones."""
    tally = Tally()
    verdicts: list[DialLimitReached | None] = []
    for dial in wanted:
        windows = counting_windows(policy, dial.to, dial.destination)
        refusal = (
            _too_many(windows, seen, tally, now)
            or _too_often(policy, dial, seen, tally, now)
            or _too_dear(policy.spend, dial, seen, tally, now)
        )
        verdicts.append(refusal)
        if refusal is None:
            tally.counts.update(window.key for window in windows)
            tally.numbers[dial.to] += 1
    return verdicts, tally


def _too_many(windows: Sequence[Window], seen: Seen, tally: Tally, now: datetime) -> DialLimitReached | None:
    for window in windows:
        oldest = window.oldest(now)
        live = {bucket: n for bucket, n in seen.buckets.get(window.key, {}).items() if bucket > oldest}
        if sum(live.values()) + tally.counts[window.key] >= window.most:
            first = min(live, default=window.bucket(now))
            retry_at = first + window.width + timedelta(seconds=window.seconds)
            detail = f"At most {window.most} {window.what} in {window.seconds} seconds."
            return DialLimitReached(detail, retry_at=retry_at, now=now)
    return None


def _too_often(policy: DialingPolicy, dial: Wanted, seen: Seen, tally: Tally, now: datetime) -> DialLimitReached | None:
    for seconds, most in policy.per_number.windows():
        if seen.numbers.get((dial.to, seconds), 0) + tally.numbers[dial.to] >= most:
            detail = f"At most {most} calls to one number in {seconds} seconds."
            return DialLimitReached(detail, retry_at=now + timedelta(seconds=seconds / most), now=now)
    return None


def _too_dear(spend: Spend | None, dial: Wanted, seen: Seen, tally: Tally, now: datetime) -> DialLimitReached | None:
    """The last question: where it says yes, the money is set aside in the tally."""
    if spend is None:
        return None
    rate = find_rate(spend, dial.to) or 0
    reserve = rate * spend.reserve_minutes
    today = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    next_month = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    caps = (
        (spend.per_day_minor, seen.spent_day, today + timedelta(days=1), "day"),
        (spend.per_month_minor, seen.spent_month, next_month, "month"),
    )
    for cap, spent, until, name in caps:
        if cap is not None and spent + tally.spent + reserve > cap * MILLI:
            detail = f"The spend cap of the {name} is reached: {cap} minor units of {spend.currency}."
            return DialLimitReached(detail, retry_at=until, now=now)
    tally.charges[dial.call_id] = (rate, reserve)
    tally.spent += reserve
    return None
