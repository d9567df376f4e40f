"""What the organization may dial, how often and for how much, over REST: the rules of the toll gate."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from app.api.dependencies import Parts, require
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Scope
from app.clock import utc_now
from campaigns.gates.again import mark_changed
from telephony.lines.numbers import parse_number
from telephony.toll_gate.destinations import TollGateRefused
from telephony.toll_gate.gate import load_rules
from telephony.toll_gate.policy import DialingPolicy
from telephony.toll_gate.settings import RulesInForce, load_rules_in_force, set_rules

router = APIRouter(prefix="/api/v1/dialing-rules", tags=["Dialing rules"], responses=problem_responses())

Reading = Annotated[Principal, require(Scope.CALLS_READ)]
Writing = Annotated[Principal, require(Scope.NUMBERS_WRITE)]

_EXAMPLE: dict[str, Any] = {
    "allowed_countries": ["CA"],
    "refused_prefixes": ["+1907"],
    "calls": {"per_minute": 600, "per_hour": None, "per_day": 100000},
    "per_number": {"per_minute": None, "per_hour": 2, "per_day": 4},
    "destinations": [{"country": "CA", "prefix": None, "per_minute": 60, "per_hour": None, "per_day": None}],
    "spend": {
        "currency": "USD",
        "per_day_minor": 50000,
        "per_month_minor": 900000,
        "reserve_minutes": 3,
        "rates": [
            {"prefix": "+1", "per_1000_minutes_minor": 850},
            {"prefix": "+1907", "per_1000_minutes_minor": 9100},
        ],
    },
}


class DialingRulesIn(DialingPolicy):
    """All of them at once: what is left out goes back to its default, which is the own country and no limit.

    `allowed_countries`: beside the organization's own. `refused_prefixes`: never dialed, whatever else allows them.
    `calls`: all outbound calls together; `per_number`: to any one number; `destinations`: to a country or a prefix. A
    limit holds in every window of its length. `spend`: caps per UTC day and calendar month in minor units, with what
    1,000 minutes cost by prefix; where a cap is set, a destination without a rate is not dialed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [_EXAMPLE]})


class Spent(BaseModel):
    """In minor units, rounded up: calls that are over by their length, others by what is set aside for them. As of the
    last dial."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"currency": "USD", "today_minor": 1240, "month_minor": 30115}]}
    )

    currency: str
    today_minor: int
    month_minor: int


class DialingRulesOut(DialingPolicy):
    """What holds now. `country`: the organization's own. `set_by`: the user or API key, null where our own processes or
    nobody did."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "country": "US",
                    **_EXAMPLE,
                    "set_at": "2026-11-20T17:39:00Z",
                    "set_by": "api_key 0199f2a4-6f0e-7c60-9d0b-000000000090",
                    "spent": {"currency": "USD", "today_minor": 1240, "month_minor": 30115},
                }
            ]
        },
    )

    country: str
    set_at: datetime | None
    set_by: str | None
    spent: Spent | None


class CheckOut(BaseModel):
    """`to`: the number in E.164. `country`: where it leads, null where that is unknown. `reason`: why it is not
    dialed, null where it is. Limits and do-not-call lists are not asked."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "to": "+18765550100",
                    "allowed": False,
                    "country": "JM",
                    "reason": "Calls to JM are not allowed; add it to the organization's allowed_countries.",
                }
            ]
        }
    )

    to: str
    allowed: bool
    country: str | None
    reason: str | None


@router.get("", summary="What may be dialed, how often, and for how much")
async def get_dialing_rules(state: Parts, principal: Reading) -> DialingRulesOut:
    async with state.db.request(principal.claims()) as connection:
        return render_rules(await load_rules_in_force(connection, principal.org_id, now=utc_now()))


@router.put("", summary="Set what may be dialed")
async def put_dialing_rules(state: Parts, principal: Writing, body: DialingRulesIn) -> DialingRulesOut:
    """They hold from the next dial on, for running campaigns too: whom the old ones had put off is asked again. What
    held before is kept as history."""
    who = f"api_key {principal.api_key_id}" if principal.api_key_id else f"user {principal.user_id}"
    async with state.db.request(principal.claims()) as connection:
        await set_rules(connection, principal.org_id, body, set_by=who)
        rules = await load_rules_in_force(connection, principal.org_id, now=utc_now())
        await mark_changed(connection, principal.org_id)
    return render_rules(rules)


@router.get("/check", summary="Whether a number may be dialed, and why not")
async def get_check(
    state: Parts, principal: Reading, to: Annotated[str, Query(min_length=1, max_length=40, examples=["+18765550100"])]
) -> CheckOut:
    """`to`: E.164, or as written in the organization's country."""
    async with state.db.request(principal.claims()) as connection:
        rules, _ = await load_rules(connection, principal.org_id)
    number = parse_number(to, rules.org_country)
    try:
        country = rules.check(number).country
    except TollGateRefused as refused:
        return CheckOut(to=number, allowed=False, country=refused.extra.get("country"), reason=refused.detail)
    return CheckOut(to=number, allowed=True, country=country, reason=None)


def render_rules(rules: RulesInForce) -> DialingRulesOut:
    spent = rules.spent and Spent(
        currency=rules.spent.currency, today_minor=rules.spent.today_minor, month_minor=rules.spent.month_minor
    )
    return DialingRulesOut.model_validate(
        rules.policy.model_dump()
        | {"country": rules.country, "set_at": rules.set_at, "set_by": rules.set_by, "spent": spent}
    )
