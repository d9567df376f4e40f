"""What came of an attempt, in the words of business. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from telephony.calls import End, EndReason, EndResult


class Disposition(StrEnum):
    """The outcomes that we know by ourselves; a conversation may leave any other word as its hint."""

    REACHED = "reached"
    VOICEMAIL = "voicemail"
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    REFUSED = "refused"
    WRONG_NUMBER = "wrong-number"
    CANCELED = "canceled"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The call is over and nobody can say how: it may have rung, so it is not tried again by itself."""
    DO_NOT_CALL = "do-not-call"
    BLOCKED = "blocked"
    """The toll gate forbade the dial."""
    NOT_DIALED = "not-dialed"
    """The carrier surely never placed this try: the contact is due again and the try does not count."""


LONGEST_WORD = 64

_BY_RESULT = {
    EndResult.COMPLETED: Disposition.REACHED,
    EndResult.BUSY: Disposition.BUSY,
    EndResult.NO_ANSWER: Disposition.NO_ANSWER,
    EndResult.REJECTED: Disposition.REFUSED,
    EndResult.FAILED: Disposition.FAILED,
    EndResult.CANCELED: Disposition.CANCELED,
    EndResult.INDETERMINATE: Disposition.UNKNOWN,
}


def decide_disposition(end: End, hint: Mapping[str, Any], *, answered: bool) -> str:
    """The outcome of a call that ended so. What the conversation itself recorded (`hint["disposition"]`) wins, but
    only if there was one: a hint on a call that nobody answered says nothing. Its words are spelled like ours, with
    hyphens: a team that records "do_not_call" means what we mean."""
    word = hint.get("disposition")
    if answered and isinstance(word, str) and word.strip():
        return "-".join(word.lower().replace("_", " ").split())[:LONGEST_WORD]
    if end.reason is EndReason.MACHINE:
        return Disposition.VOICEMAIL
    if end.reason is EndReason.INVALID_NUMBER:
        return Disposition.WRONG_NUMBER
    if end.reason is EndReason.TOLL_GATE:
        return Disposition.BLOCKED
    return _BY_RESULT[end.result]
