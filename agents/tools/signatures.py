"""What each tool is called and takes, apart from its code.

Team files are checked by processes that run no agents, and the tools' code loads LiveKit's, which takes seconds.
A test holds this page up against the tools themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What an agent may say a call came to; campaigns turn it into the attempt's disposition."""

    CONFIRMED = "confirmed"
    RESCHEDULE = "reschedule"
    CALLBACK = "callback"
    NOT_INTERESTED = "not_interested"
    WRONG_NUMBER = "wrong_number"
    DO_NOT_CALL = "do_not_call"
    VOICEMAIL_LEFT = "voicemail_left"
    REACHED = "reached"


@dataclass(frozen=True)
class Parameter:
    """One argument of a tool; `choices` is empty where any text goes."""

    required: bool = True
    choices: tuple[str, ...] = ()


SIGNATURES: Mapping[str, Mapping[str, Parameter]] = {
    "end_call": {"farewell": Parameter(required=False)},
    "look_up": {"topic": Parameter()},
    "record_outcome": {"outcome": Parameter(choices=tuple(Outcome))},
    "save_details": {"field": Parameter(), "value": Parameter()},
    "schedule_callback": {"when": Parameter()},
}
"""By the names that a team file writes; then by argument name."""
