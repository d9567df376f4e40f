"""Whether a contact agreed to be called. Pure."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from campaigns.rules.calling.ruling import Ruling


class Need(StrEnum):
    """`required`: only who agreed is called. `if-stated`: who never said anything is called, but nobody whose consent
    is over. `ignored`: the fields mean nothing here."""

    REQUIRED = "required"
    IF_STATED = "if-stated"
    IGNORED = "ignored"


class ConsentRule(BaseModel):
    """campaigns.consent. `max_age_days`: consent that is older is over, whatever the list says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    need: Need = Need.IF_STATED
    max_age_days: int | None = Field(None, ge=1, le=36500)


def judge_consent(
    rule: ConsentRule, *, given_at: datetime | None, expires_at: datetime | None, now: datetime
) -> Ruling:
    """Without consent the answer is never; with one that begins later, then."""
    if rule.need is Need.IGNORED:
        return Ruling(True, "consent is not asked for")
    if given_at is None and rule.need is Need.REQUIRED:
        return Ruling(False, "the list has no consent for this contact, and the campaign needs one")
    ends = expires_at
    if given_at is not None and rule.max_age_days is not None:
        oldest = given_at + timedelta(days=rule.max_age_days)
        ends = oldest if ends is None else min(ends, oldest)
    if ends is not None and now >= ends:
        return Ruling(False, f"the consent ended on {ends:%Y-%m-%d}", "consent of the list")
    if given_at is None:
        return Ruling(True, "the list says nothing of consent, and the campaign does not need one")
    if now < given_at:
        return Ruling(False, f"the consent begins on {given_at:%Y-%m-%d}", "consent of the list", given_at)
    return Ruling(True, f"consent of {given_at:%Y-%m-%d}", "consent of the list")
