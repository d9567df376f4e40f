"""What a campaign may be told beside its list, team and number: one JSON object a subject, each with its own model."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from app.errors import InvalidInput
from app.http.outward import AddressForbidden, check_url
from campaigns.gates.policy import SuppressionRule
from campaigns.rules.breaker import Breaker
from campaigns.rules.calling.caps import CapsRule
from campaigns.rules.calling.consent import ConsentRule
from campaigns.rules.calling.schedule import CallingRule
from campaigns.rules.canary import Canary
from campaigns.rules.dispositions import OutcomeCodes
from campaigns.rules.pacing import Pace
from campaigns.rules.retries import RetryRule

MODELS: Mapping[str, type[BaseModel]] = {
    "retry": RetryRule,
    "calling": CallingRule,
    "caps": CapsRule,
    "consent": ConsentRule,
    "suppression": SuppressionRule,
    "pace": Pace,
    "canary": Canary,
    "breaker": Breaker,
    "outcomes": OutcomeCodes,
}
"""By the column of `campaigns` that holds it. In each, what is not said is the default, and `{}` all defaults."""


class InvalidSettings(InvalidInput):
    """A campaign's settings cannot be used; every fault is listed."""

    code = "invalid_campaign_settings"
    title = "Invalid campaign settings"


def check_settings(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings as they are stored: only what was said, so that a later default still reaches the campaign.

    `given`: by the names of MODELS. Raises InvalidSettings with a path for every fault.
    """
    faults: list[dict[str, str]] = []
    for name, value in given.items():
        try:
            read = MODELS[name].model_validate(value)
            if isinstance(read, SuppressionRule) and read.url is not None:
                # Not of the rule itself, which must be readable for as long as campaigns have it.
                check_url(read.url, allow_loopback=True)
        except ValidationError as error:
            faults += [
                {"path": ".".join(["body", name, *map(str, fault["loc"])]), "message": fault["msg"]}
                for fault in error.errors(include_url=False, include_context=False)
            ]
        except AddressForbidden as error:
            faults.append({"path": f"body.{name}.url", "message": error.detail})
    if faults:
        raise InvalidSettings("The campaign's settings cannot be used:", errors=faults)
    return {name: dict(value) for name, value in given.items()}


def merge_settings(stored: Any, given: Any) -> Any:
    """JSON merge patch (RFC 7396): objects are merged name by name, null takes a name away, all else replaces."""
    if not isinstance(given, Mapping):
        return given
    merged: dict[str, Any] = dict(stored) if isinstance(stored, Mapping) else {}
    for name, value in given.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_settings(merged.get(name), value)
    return merged
