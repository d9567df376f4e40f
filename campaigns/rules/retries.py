"""Whether a contact is called again, and when. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from campaigns.rules.dispositions import Disposition

DEFAULT_DELAYS_SECONDS: Mapping[str, float] = {
    Disposition.BUSY: 300,
    Disposition.NO_ANSWER: 1800,
    Disposition.FAILED: 300,
}


@dataclass(frozen=True)
class RetryRule:
    """`max_attempts` counts dials. `delay_seconds` maps each disposition worth another try to the wait before it; one
    that is absent is final."""

    max_attempts: int = 3
    delay_seconds: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_DELAYS_SECONDS))

    @classmethod
    def uniform(cls, max_attempts: int, delay_seconds: float) -> "RetryRule":
        """The same wait after every outcome that is worth another try."""
        return cls(max_attempts, dict.fromkeys(map(str, DEFAULT_DELAYS_SECONDS), delay_seconds))

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "RetryRule":
        """From `campaigns.retry`; what is missing there is the default."""
        usual = cls()
        return cls(
            max_attempts=int(stored.get("max_attempts", usual.max_attempts)),
            delay_seconds=dict(stored.get("delay_seconds", usual.delay_seconds)),
        )

    def to_json(self) -> dict[str, Any]:
        return {"max_attempts": self.max_attempts, "delay_seconds": dict(self.delay_seconds)}


def next_try(rule: RetryRule, disposition: str, *, attempts_made: int, now: datetime) -> datetime | None:
    """When the contact is due again after `attempts_made` dials, or None: it is finished."""
    delay = rule.delay_seconds.get(disposition)
    if delay is None or attempts_made >= rule.max_attempts:
        return None
    return now + timedelta(seconds=delay)


def due_after_no_dial(*, earlier: int, now: datetime) -> datetime:
    """When to try again after a try that reached no carrier: 5 s, doubling with each of the `earlier` ones to 5
    minutes. There is no last time: nobody's phone rang, and a carrier that is down must not cost us the contact."""
    return now + timedelta(seconds=min(5.0 * 2 ** min(earlier, 6), 300.0))
