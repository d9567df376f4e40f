"""Whether a contact is called again, when, and on which of its numbers. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, cast
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.ids import E164
from campaigns.rules.dispositions import Disposition
from campaigns.rules.spreading import spread_over_day
from telephony.hints import spell

DAY_SECONDS = 86_400
CALLBACK = "callback"
LINE_TROUBLE = frozenset({Disposition.BUSY, Disposition.FAILED, Disposition.ABANDONED})
"""These say nothing about the person's habits, so another time of day is no better than a few minutes later."""
NOT_THIS_NUMBER = frozenset({Disposition.WRONG_NUMBER, Disposition.CARRIER_BLOCKED})
MOST_CALLBACKS = 3
"""So many dials above `max_attempts` are made because the person asked for them; then it is a loop, not a wish."""

Delay = Annotated[float, Field(ge=0, le=90 * DAY_SECONDS)]


class OutcomeRetry(BaseModel):
    """What follows one disposition. `delays_seconds`: the wait after the first dial, the second, …; the last one goes
    on. `next_number`: the contact's next number is tried, after its last the first again. `spread`: whether
    `spread_hours` applies; by default where a person could have answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    delays_seconds: tuple[Delay, ...] = Field(min_length=1, max_length=20)
    next_number: bool = False
    spread: bool | None = None


def _default_outcomes() -> dict[str, OutcomeRetry]:
    return {
        Disposition.BUSY.value: OutcomeRetry(delays_seconds=(300,), next_number=True),
        Disposition.NO_ANSWER.value: OutcomeRetry(delays_seconds=(1800,), next_number=True),
        Disposition.FAILED.value: OutcomeRetry(delays_seconds=(300,), next_number=True),
        # We owe them a call: they answered and nobody was there.
        Disposition.ABANDONED.value: OutcomeRetry(delays_seconds=(1800,)),
        # Only ever another number: `plan_next` does not go back to a wrong one.
        Disposition.WRONG_NUMBER.value: OutcomeRetry(delays_seconds=(0,), next_number=True),
    }


class RetryRule(BaseModel):
    """`campaigns.retry`. `max_attempts` counts dials. A disposition that `outcomes` does not name is final.

    `spread_hours`: tries of one number fall on times of day that lie so far apart, 0: anywhere. `callback_seconds`: who
    asks to be called again and names no time is, so long after the call or when calling hours open next, unless
    `outcomes` says something of callback; "never": only who names a time. The older form
    `{"max_attempts": …, "delay_seconds": {"busy": 300}}` is read too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_attempts: int = Field(default=3, ge=1, le=100)
    outcomes: Mapping[str, OutcomeRetry] = Field(default_factory=_default_outcomes, max_length=50)
    spread_hours: float = Field(default=0.0, ge=0, le=12)
    callback_seconds: Delay | Literal["never"] = 7200.0

    @model_validator(mode="before")
    @classmethod
    def _read_older_form(cls, stored: Any) -> Any:
        if not isinstance(stored, Mapping):
            return stored
        fields: dict[str, Any] = dict(stored)
        if isinstance(delays := fields.get("delay_seconds"), Mapping):
            del fields["delay_seconds"]
            fields["outcomes"] = {str(word): {"delays_seconds": [delay]} for word, delay in delays.items()}
        return spell_outcomes(fields)

    @classmethod
    def uniform(cls, max_attempts: int, delay_seconds: float) -> "RetryRule":
        """The same wait after every outcome that is worth another try."""
        words = (Disposition.BUSY, Disposition.NO_ANSWER, Disposition.FAILED, Disposition.ABANDONED)
        again = OutcomeRetry(delays_seconds=(delay_seconds,))
        return cls(max_attempts=max_attempts, outcomes={word.value: again for word in words})

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "RetryRule":
        """From `campaigns.retry`; what is missing there is the default."""
        return cls.model_validate(dict(stored))

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_defaults=False)


def spell_outcomes(stored: Mapping[str, Any]) -> dict[str, Any]:
    """`campaigns.retry` as somebody wrote it, with its outcomes spelled like ours: "no_answer" is "no-answer"; what is
    said of one outcome under both is put together."""
    fields = dict(stored)
    if not isinstance(outcomes := fields.get("outcomes"), Mapping):
        return fields
    spelled: dict[str, Any] = {}
    for word, said in cast(Mapping[Any, Any], outcomes).items():
        name, known = spell(str(word)), spelled.get(spell(str(word)))
        both = isinstance(said, Mapping) and isinstance(known, Mapping)
        spelled[name] = {**cast(Any, known), **cast(Any, said)} if both else said
    return {**fields, "outcomes": spelled}


@dataclass(frozen=True)
class Facts:
    """What is known when a dial is over. `attempts_made` counts it. `phones`: every number of the contact in order,
    of which `phone_index` was dialed. `zone`: the contact's own, if known. `callback_at`: asked for in this call.
    `wrong_numbers`: those not to be dialed again (contacts.memory). `refused`: the carrier did not dial this number and
    never will."""

    disposition: str
    attempts_made: int
    phone_index: int
    phones: Sequence[E164]
    now: datetime
    zone: ZoneInfo | None = None
    callback_at: datetime | None = None
    wrong_numbers: Collection[str] = field(default_factory=frozenset[str])
    refused: bool = False


@dataclass(frozen=True)
class NextTry:
    """Not before `due_at` (UTC), on `phones[phone_index]`. Calling hours may put it off further."""

    due_at: datetime
    phone_index: int


def plan_next(rule: RetryRule, facts: Facts) -> NextTry | None:
    """The next try, or None: the contact is finished.

    A callback is kept even where the dials are used up, unless the person asked for more than MOST_CALLBACKS.
    """
    if facts.disposition == CALLBACK and (callback_at := _find_callback(rule, facts)) is not None:
        if facts.attempts_made >= rule.max_attempts + MOST_CALLBACKS:
            return None
        phone_index = _choose_number(facts, next_number=False) if facts.refused else facts.phone_index
        return None if phone_index is None else NextTry(max(callback_at, facts.now).astimezone(UTC), phone_index)
    again = _find_retry(rule, facts)
    if again is None or facts.attempts_made >= rule.max_attempts:
        return None
    phone_index = _choose_number(facts, next_number=again.next_number)
    if phone_index is None:
        return None
    delay = again.delays_seconds[min(facts.attempts_made, len(again.delays_seconds)) - 1]
    due_at = facts.now + timedelta(seconds=delay)
    if rule.spread_hours and phone_index <= facts.phone_index and _is_spread(again, facts.disposition):
        # A number not tried in this round yet is called as soon as its delay says: the other line, same hour.
        due_at = spread_over_day(due_at, last_at=facts.now, zone=facts.zone, hours=rule.spread_hours)
    return NextTry(due_at.astimezone(UTC), phone_index)


def _find_retry(rule: RetryRule, facts: Facts) -> OutcomeRetry | None:
    """What follows the outcome. A number that was never dialed is no reason to leave the contact's others alone: where
    nothing is said of our word for that, it is a failure at least."""
    again = rule.outcomes.get(facts.disposition)
    if again is None and facts.refused and facts.disposition in NOT_THIS_NUMBER:
        return rule.outcomes.get(Disposition.FAILED)
    return again


def _find_callback(rule: RetryRule, facts: Facts) -> datetime | None:
    if facts.callback_at is not None or rule.callback_seconds == "never" or CALLBACK in rule.outcomes:
        return facts.callback_at
    return facts.now + timedelta(seconds=rule.callback_seconds)


def _choose_number(facts: Facts, *, next_number: bool) -> int | None:
    """The number to try, never one that is known to be wrong; None where every one is."""
    wrong = set(facts.wrong_numbers)
    phones = facts.phones
    unfit = facts.refused or facts.disposition == Disposition.WRONG_NUMBER
    if not phones:
        return None if unfit else facts.phone_index
    if unfit:
        wrong.add(phones[facts.phone_index % len(phones)])
    first = facts.phone_index + 1 if next_number else facts.phone_index
    order = ((first + step) % len(phones) for step in range(len(phones)))
    return next((index for index in order if phones[index] not in wrong), None)


def _is_spread(again: OutcomeRetry, disposition: str) -> bool:
    return disposition not in LINE_TROUBLE if again.spread is None else again.spread


def due_after_no_dial(*, earlier: int, now: datetime) -> datetime:
    """When to try again after a try that reached no carrier: 5 s, doubling with each of the `earlier` ones to 5
    minutes. There is no last time: nobody's phone rang, and a carrier that is down must not cost us the contact."""
    return now + timedelta(seconds=min(5.0 * 2 ** min(earlier, 6), 300.0))
