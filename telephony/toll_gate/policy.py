"""What an organization sets for its dials: where to, how often, for how much. '{}' allows its own country and no limit.

Money: caps in integer minor units of one currency; rates per 1,000 minutes, because a minute costs fractions of a
cent.
"""

from typing import Annotated, Any

import phonenumbers
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.errors import Conflict


class RulesUnreadable(Conflict):
    """The organization's rules were not written by us: nothing is dialed until they are set anew."""

    code = "dialing_rules_unreadable"


def _known_country(code: str) -> str:
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{code} is not the ISO 3166 code of a country with phone numbers")
    return code


Country = Annotated[str, AfterValidator(_known_country)]
Prefix = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{0,13}$")]
Most = Annotated[int, Field(ge=1, le=10_000_000)] | None
Minor = Annotated[int, Field(ge=0, le=10**12)]

MINUTE, HOUR, DAY = 60, 3600, 86400


def _shown_as(**example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [example]})


class Velocity(BaseModel):
    """At most so many dials in any window of that length; none: as many as you like."""

    model_config = _shown_as(per_minute=600, per_hour=None, per_day=100_000)

    per_minute: Most = None
    per_hour: Most = None
    per_day: Most = None

    def windows(self) -> list[tuple[int, int]]:
        """(seconds, most) of those that are set."""
        pairs = ((MINUTE, self.per_minute), (HOUR, self.per_hour), (DAY, self.per_day))
        return [(seconds, most) for seconds, most in pairs if most is not None]


class DestinationVelocity(Velocity):
    """The same for one country (ISO 3166) or one prefix."""

    model_config = _shown_as(country="CA", prefix=None, per_minute=60, per_hour=None, per_day=None)

    country: Country | None = None
    prefix: Prefix | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "DestinationVelocity":
        if (self.country is None) == (self.prefix is None):
            raise ValueError("give either country or prefix")
        return self


class Rate(BaseModel):
    """What 1,000 minutes to numbers that begin with `prefix` cost, in minor units; the longest prefix counts."""

    model_config = _shown_as(prefix="+1", per_1000_minutes_minor=850)

    prefix: Prefix
    per_1000_minutes_minor: Minor


class Spend(BaseModel):
    """Caps per UTC day and calendar month. `reserve_minutes`: what is set aside for a dial until its length is known.
    A destination without a rate is not dialed: nobody knows what it costs."""

    model_config = _shown_as(
        currency="USD",
        per_day_minor=50_000,
        per_month_minor=900_000,
        reserve_minutes=3,
        rates=[{"prefix": "+1", "per_1000_minutes_minor": 850}],
    )

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    per_day_minor: Minor | None = None
    per_month_minor: Minor | None = None
    reserve_minutes: int = Field(3, ge=1, le=240)
    rates: Annotated[list[Rate], Field(min_length=1, max_length=2000)]


class DialingPolicy(BaseModel):
    """Everything that the toll gate asks, beside what no organization may dial at all."""

    model_config = _shown_as(allowed_countries=["CA"], calls={"per_minute": 600})

    allowed_countries: Annotated[list[Country], Field(max_length=300)] = []
    refused_prefixes: Annotated[list[Prefix], Field(max_length=1000)] = []
    calls: Velocity = Velocity()
    per_number: Velocity = Velocity()
    destinations: Annotated[list[DestinationVelocity], Field(max_length=200)] = []
    spend: Spend | None = None

    @property
    def has_limits(self) -> bool:
        """Whether a dial has to be counted at all."""
        counted = (self.calls, self.per_number, *self.destinations)
        return self.spend is not None or any(velocity.windows() for velocity in counted)


def read_policy(rules: dict[str, Any] | None, settings: dict[str, Any]) -> DialingPolicy:
    """From the organization's row of rules; where it has none yet, from `allowed_countries` in its settings. Raises
    RulesUnreadable: rules that nobody can read allow nothing."""
    given = {"allowed_countries": settings.get("allowed_countries", [])} if rules is None else rules
    try:
        return DialingPolicy.model_validate(given)
    except ValidationError as error:
        places = ", ".join(".".join(str(part) for part in fault["loc"]) for fault in error.errors())
        raise RulesUnreadable(f"The stored dialing rules cannot be read ({places}); set them anew.") from error
