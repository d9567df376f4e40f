"""The rules of an organization as people see and set them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from app.db import Connection
from app.errors import NotFound
from app.ids import OrgId
from telephony.toll_gate import store
from telephony.toll_gate.limits import MILLI
from telephony.toll_gate.policy import DialingPolicy, read_policy


@dataclass(frozen=True)
class SpentSoFar:
    """In minor units of the currency, rounded up; settled as of the last dial."""

    currency: str
    today_minor: int
    month_minor: int


@dataclass(frozen=True)
class RulesInForce:
    """`country`: the organization's own, which is always allowed. `set_at`, `set_by`: None where nobody set any.
    `spent`: None without a spend cap."""

    country: str
    policy: DialingPolicy
    set_at: datetime | None
    set_by: str | None
    spent: SpentSoFar | None


async def load_rules_in_force(connection: Connection, org_id: OrgId, *, now: datetime) -> RulesInForce:
    """Raises NotFound."""
    row = await store.select_rules(connection, org_id)
    if row is None:
        raise NotFound("There is no such organization.")
    policy = read_policy(row["rules"], row["settings"])
    spent = None
    if policy.spend is not None:
        sums = await store.select_spend(
            connection, org_id, currency=policy.spend.currency, today=now.astimezone(UTC).date()
        )
        spent = SpentSoFar(policy.spend.currency, -(-sums["day"] // MILLI), -(-sums["month"] // MILLI))
    return RulesInForce(row["country"], policy, row["created_at"], row["set_by"], spent)


async def set_rules(connection: Connection, org_id: OrgId, policy: DialingPolicy, *, set_by: str | None) -> None:
    """From this transaction's end on these hold, all of them: what is not given has its default."""
    await store.insert_rules(connection, org_id, policy.model_dump(mode="json"), set_by=set_by)
