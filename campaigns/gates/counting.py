"""How often contacts and numbers were dialed, counted in the transaction that dials them again."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.db import Connection, Row
from app.ids import E164, CampaignId, ContactId, OrgId
from campaigns.gates import store
from campaigns.rules.calling.caps import MOST, WEEK, CapsRule, Dials, Limits, judge_cap
from campaigns.rules.calling.ruling import Ruling

SOON = timedelta(seconds=60)
BUSY = timedelta(seconds=5)
MOST_LOCKED = 400
"""Locks on numbers in one transaction: Postgres has room for some thousands among all, and says so by failing."""
NO_CAPS = Ruling(True, "calls are not counted")
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Counted:
    """`dials`: of those with a cap. `ours`: numbers that nobody else can be about to dial; None: nobody asked."""

    dials: Mapping[ContactId, Row]
    ours: Set[str] | None


@dataclass(frozen=True)
class Wanted:
    """Somebody about to be dialed. `limits`: of the number."""

    contact_id: ContactId
    phone: E164
    limits: Limits


async def count_dials(
    connection: Connection,
    org_id: OrgId,
    campaign_id: CampaignId,
    caps: CapsRule,
    wanted: Sequence[Wanted],
    *,
    now: datetime,
    lock: bool,
) -> Counted:
    """Of those with a cap only. The locks are taken by a statement of their own: what is counted after it includes
    whatever the last holder of a lock dialed."""
    limited = [one for one in wanted if one.limits.any]
    counted = wanted if caps.contact.any else limited
    if not counted:
        return Counted({}, None)
    ours = None
    if lock and limited:
        phones = list(dict.fromkeys(one.phone for one in limited))[:MOST_LOCKED]
        ours = await store.try_lock_phones(connection, org_id, phones)
    dials = await store.select_dials(
        connection,
        org_id,
        [(one.contact_id, one.phone) for one in counted],
        campaign_id=None if caps.across_campaigns else campaign_id,
        since=now - WEEK,
        most=MOST,
    )
    return Counted({ContactId(contact_id): row for contact_id, row in dials.items()}, ours)


def judge_caps(caps: CapsRule, one: Wanted, counted: Counted, *, now: datetime, about_to_dial: bool) -> Ruling:
    """`about_to_dial`: this number is dialed for another contact of the same batch."""
    row = counted.dials.get(one.contact_id)
    if row is None:
        return NO_CAPS
    if one.limits.any and (about_to_dial or (counted.ours is not None and one.phone not in counted.ours)):
        wait = SOON if about_to_dial else BUSY
        return Ruling(False, "this number waits for others whose calls are counted now", None, now + wait)
    rulings: list[Ruling] = []
    if caps.contact.any:
        dials = Dials(row["contact_recent"] or (), row["contact_in_all"])
        rulings.append(judge_cap(caps.contact, dials, whose="the contact", now=now))
    if one.limits.any:
        dials = Dials(row["number_recent"] or (), row["number_in_all"])
        rulings.append(judge_cap(one.limits, dials, whose="the number", now=now))
    return combine(rulings)


def combine(rulings: Sequence[Ruling]) -> Ruling:
    """All must pass: never wins over later, and the latest over the sooner."""
    refused = [ruling for ruling in rulings if not ruling.passed]
    if not refused:
        return Ruling(True, "; ".join(ruling.reason for ruling in rulings), rulings[0].source)
    return max(refused, key=lambda ruling: ruling.next_at or _NEVER)
