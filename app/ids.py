"""Identifiers: UUIDv7 (RFC 9562), so that rows made later sort later and indexes stay compact."""

from typing import NewType
from uuid import UUID

from uuid_utils.compat import uuid7

OrgId = NewType("OrgId", UUID)
UserId = NewType("UserId", UUID)
CallId = NewType("CallId", UUID)
LegId = NewType("LegId", UUID)
TeamId = NewType("TeamId", UUID)
TeamVersionId = NewType("TeamVersionId", UUID)
NumberId = NewType("NumberId", UUID)
TrunkId = NewType("TrunkId", UUID)
CampaignId = NewType("CampaignId", UUID)
ContactId = NewType("ContactId", UUID)
AttemptId = NewType("AttemptId", UUID)
ApiKeyId = NewType("ApiKeyId", UUID)

E164 = NewType("E164", str)
"""A phone number in E.164 form: "+" and up to 15 digits; only `telephony.lines.numbers.parse_number` makes one."""


def new_id() -> UUID:
    """A fresh UUIDv7; wrap it in the NewType of what it names."""
    return uuid7()
