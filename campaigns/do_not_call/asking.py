"""Who is put on the do-not-call list by a call: callees who say so, and those whose network says it. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.ids import E164, OrgId
from campaigns.rules.dispositions import Disposition
from telephony import hints
from telephony.carriers.replies import Refusal


class Source(StrEnum):
    """How a number came onto a list."""

    API = "api"
    IMPORT = "import"
    SAID_IN_CALL = hints.SAID_IN_CALL
    CARRIER = "carrier"


class Asked(NamedTuple):
    """A number for the organization's list."""

    org_id: OrgId | UUID
    phone: E164
    reason: str
    source: Source


def find_asked(
    org_id: OrgId | UUID, *, disposition: str, refusal: Refusal | None, dialed: E164, phones: Sequence[E164]
) -> list[Asked]:
    """From the end of one call. `refusal`: a carrier reply that puts numbers on the list. `phones`: all numbers
    of the contact: who asks not to be called again means themselves, not the line they speak on; a network speaks for
    the one number that it answered for. The line they spoke on is on the list since they said it, if the conversation
    recorded it in our own word (telephony/hints.py)."""
    if disposition == Disposition.DO_NOT_CALL:
        numbers = dict.fromkeys((dialed, *phones))
        return [Asked(org_id, phone, hints.SAID_REASON, Source.SAID_IN_CALL) for phone in numbers]
    if refusal is not None:
        return [Asked(org_id, dialed, f"the callee's network: {refusal.value}", Source.CARRIER)]
    return []
