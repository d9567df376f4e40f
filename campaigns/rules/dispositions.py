"""What came of an attempt, in the words of business. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from app.errors import InvalidInput
from telephony.calls import End, EndReason, EndResult
from telephony.carriers.replies import Refusal
from telephony.hints import LONGEST_WORD, read_word, spell, spell_name

MOST_CODES = 200


class InvalidOutcomes(InvalidInput):
    """The outcome codes of a campaign cannot be used; `extra["errors"]` names each fault."""

    code = "invalid_outcomes"


class Disposition(StrEnum):
    """The outcomes that we know by ourselves; a conversation may leave any other word as its hint."""

    REACHED = "reached"
    VOICEMAIL = "voicemail"
    """A machine answered, and nothing was left on it."""
    VOICEMAIL_LEFT = "voicemail-left"
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    REFUSED = "refused"
    CARRIER_BLOCKED = "carrier-blocked"
    """The callee's network, an analytics engine or our carrier keeps our calls from them."""
    WRONG_NUMBER = "wrong-number"
    CALLBACK = "callback"
    """They asked to be called again, at an instant that the conversation may have noted."""
    ABANDONED = "abandoned"
    """A person answered and nobody was there to talk: what the law counts."""
    CANCELED = "canceled"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The call is over and nobody can say how: it may have rung, so it is not tried again by itself."""
    DO_NOT_CALL = "do-not-call"
    BLOCKED = "blocked"
    """A gate forbade the dial."""
    NOT_DIALED = "not-dialed"
    """The carrier surely never placed this try: the contact is due again and the try does not count."""


SETTLED_FOR_GOOD = frozenset(
    {Disposition.UNKNOWN, Disposition.DO_NOT_CALL, Disposition.BLOCKED, Disposition.NOT_DIALED}
)
"""What no campaign may call by another word: the promises of the engine hang on these."""

NOT_A_CONVERSATION = frozenset(Disposition) - {Disposition.REACHED, Disposition.CALLBACK, Disposition.DO_NOT_CALL}
"""With every other word somebody was talked to; a word of a campaign's own is one too."""

NOT_A_PERSONS_WORD = NOT_A_CONVERSATION - {
    Disposition.WRONG_NUMBER,
    Disposition.VOICEMAIL,
    Disposition.VOICEMAIL_LEFT,
}
"""What only the engine knows: who talked to somebody cannot say that nobody answered."""

_BY_RESULT = {
    EndResult.COMPLETED: Disposition.REACHED,
    EndResult.BUSY: Disposition.BUSY,
    EndResult.NO_ANSWER: Disposition.NO_ANSWER,
    EndResult.REJECTED: Disposition.REFUSED,
    EndResult.FAILED: Disposition.FAILED,
    EndResult.CANCELED: Disposition.CANCELED,
    EndResult.INDETERMINATE: Disposition.UNKNOWN,
}
_BY_REASON = {
    EndReason.MACHINE: Disposition.VOICEMAIL,
    EndReason.INVALID_NUMBER: Disposition.WRONG_NUMBER,
    EndReason.TOLL_GATE: Disposition.BLOCKED,
}


class OnRefusal(StrEnum):
    """What is done about a carrier's reply that refuses a call."""

    DO_NOT_CALL = "do-not-call"
    """Refused, and the number is on the organization's list, with source carrier."""
    CARRIER_BLOCKED = "carrier-blocked"
    """That disposition, and no list."""
    REFUSED = "refused"


ON_REFUSAL = {
    Refusal.UNWANTED: OnRefusal.DO_NOT_CALL,
    Refusal.BLOCKED: OnRefusal.CARRIER_BLOCKED,
    Refusal.DECLINED: OnRefusal.REFUSED,
}
"""Where a campaign says nothing else: who blocks a call may be wrong about it, who does not want any is not."""


class OutcomeCodes(BaseModel):
    """`campaigns.outcomes`: the words of one campaign.

    `mapping`: a word that a conversation records, or one of ours → the disposition that is acted upon and counted
    ("remove-me" → "do-not-call"; the engine retries, lists and finishes by it).
    `codes`: a recorded word or a disposition → the code that reports and webhooks show beside it ("busy" → "B").
    `columns`: details of the conversation that get a column each in reports, in this order; empty: all there are.
    `carrier_replies`: what is done about each kind of refusal (telephony/carriers/replies.py).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mapping: dict[str, str] = Field(default_factory=dict, max_length=MOST_CODES)
    codes: dict[str, str] = Field(default_factory=dict, max_length=MOST_CODES)
    columns: list[str] = Field(default_factory=list[str], max_length=50)
    carrier_replies: dict[Refusal, OnRefusal] = Field(default_factory=dict[Refusal, OnRefusal])

    @field_validator("mapping")
    @classmethod
    def _spell_mapping(cls, mapping: dict[str, str]) -> dict[str, str]:
        spelled = {spell(word): spell(means) for word, means in mapping.items()}
        if "" in spelled or "" in spelled.values():
            raise ValueError("a word and what it means must have letters")
        for word in sorted(SETTLED_FOR_GOOD & spelled.keys()):
            raise ValueError(f'"{word}" always means itself; choose another word to map')
        for means in sorted({Disposition.BLOCKED, Disposition.NOT_DIALED} & set(spelled.values())):
            raise ValueError(f'nothing can be mapped to "{means}": it says that nobody was dialed')
        return spelled

    @field_validator("codes")
    @classmethod
    def _spell_codes(cls, codes: dict[str, str]) -> dict[str, str]:
        if any(len(code) > LONGEST_WORD or not code.strip() for code in codes.values()):
            raise ValueError(f"a code has 1 to {LONGEST_WORD} characters")
        return {spell(word): code.strip() for word, code in codes.items()}

    @field_validator("columns")
    @classmethod
    def _spell_columns(cls, columns: list[str]) -> list[str]:
        return list(dict.fromkeys(spell_name(column) for column in columns if column.strip()))

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "OutcomeCodes":
        """From `campaigns.outcomes` or a request; {} is every default. Raises InvalidOutcomes."""
        try:
            return cls.model_validate(stored)
        except ValidationError as error:
            faults = [
                {"path": ".".join(("outcomes", *map(str, fault["loc"]))), "message": fault["msg"]}
                for fault in error.errors(include_input=False, include_url=False)
            ]
            raise InvalidOutcomes("Outcome codes that cannot be used:", errors=faults) from error

    def on_refusal(self, refusal: Refusal) -> OnRefusal:
        return self.carrier_replies.get(refusal, ON_REFUSAL[refusal])

    def code_of(self, disposition: str | None, hint: Mapping[str, Any]) -> str | None:
        """What reports and webhooks call the outcome: by the word recorded, else by the disposition, else that."""
        if disposition is None:
            return None
        word = read_word(hint)
        # A word left on a call that ended otherwise after all does not lend it its code.
        if word is not None and word in self.codes and self.mapping.get(word, word) == disposition:
            return self.codes[word]
        return self.codes.get(disposition, disposition)


DEFAULT = OutcomeCodes()


def decide_disposition(
    end: End,
    hint: Mapping[str, Any],
    *,
    answered: bool,
    by_machine: bool = False,
    refusal: Refusal | None = None,
    codes: OutcomeCodes = DEFAULT,
) -> str:
    """The outcome of a call that ended so, as the engine acts upon it. `by_machine`: what answered was heard to be one.
    `refusal`: what the carrier's reply means.

    What the conversation itself recorded (`hint["disposition"]`) wins, but only if there was one: a hint on a call
    that nobody answered says nothing. `codes` has the last word, except over SETTLED_FOR_GOOD.
    """
    word = read_word(hint) if answered else None
    if word is None:
        word = _decide_by_end(end, answered=answered)
        if word is Disposition.REACHED and by_machine:
            word = Disposition.VOICEMAIL
        if word is Disposition.REFUSED and refusal and codes.on_refusal(refusal) is OnRefusal.CARRIER_BLOCKED:
            word = Disposition.CARRIER_BLOCKED
    return codes.mapping.get(word, word)


def decide_undialed(end: End, *, blocked: bool, codes: OutcomeCodes = DEFAULT) -> str:
    """The outcome of a dial that the carrier refused. `blocked`: by its reply it keeps our calls from that number."""
    word = Disposition.CARRIER_BLOCKED if blocked else _decide_by_end(end, answered=False)
    return codes.mapping.get(word, word)


def _decide_by_end(end: End, *, answered: bool) -> Disposition:
    if answered and end.reason in (EndReason.NO_WORKER, EndReason.NO_OPERATOR):
        return Disposition.ABANDONED
    return _BY_REASON.get(end.reason) or _BY_RESULT[end.result]
