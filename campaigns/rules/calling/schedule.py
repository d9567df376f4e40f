"""What a campaign says about hours, and what follows from it for one place. Pure."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from campaigns.rules.calling.caps import Limits, strictest
from campaigns.rules.calling.defaults import find_defaults
from campaigns.rules.calling.holidays import holiday_name
from campaigns.rules.calling.hours import Closed, Hours, open_every_day
from campaigns.rules.calling.places import Place
from campaigns.rules.calling.weeks import ANY_TIME, InvalidHours, Week, intersect, read_week


class Holidays(StrEnum):
    """Whether public holidays are closed: where the defaults say so, always, or never."""

    DEFAULTS = "defaults"
    CLOSED = "closed"
    OPEN = "open"


class CallingRule(BaseModel):
    """campaigns.calling. `{}`: the defaults of each contact's country and state. `{"defaults": false}`: at any time.

    `hours`: of a week, in the contact's zone: `{"mon-fri": ["09:00-12:00", "13:00-18:00"], "sat": "10:00-14:00"}`;
    with `defaults` they only narrow the defaults. `closed_dates`: no calls on these local days. `margin_seconds`: no
    dial so shortly before closing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hours: dict[str, str | list[str]] | None = None
    defaults: bool = True
    holidays: Holidays = Holidays.DEFAULTS
    closed_dates: list[date] = Field(default_factory=list[date], max_length=1000)
    margin_seconds: int = Field(30, ge=0, le=3600)

    @field_validator("hours")
    @classmethod
    def _readable(cls, hours: dict[str, str | list[str]] | None) -> dict[str, str | list[str]] | None:
        if hours is None:
            return hours
        try:
            week = read_week(hours)
        except InvalidHours as error:
            raise ValueError(error.detail) from error
        if not any(week):
            raise ValueError("no hour of the week is open: nobody would ever be called")
        return hours


@dataclass(frozen=True)
class Schedule:
    """A CallingRule, read: what `hours_at` needs, in a form that can be looked up by."""

    week: Week
    defaults: bool
    holidays: Holidays
    closed_dates: frozenset[date]
    margin: timedelta

    @classmethod
    def read(cls, rule: CallingRule) -> Self:
        return cls(
            week=ANY_TIME if rule.hours is None else read_week(rule.hours),
            defaults=rule.defaults,
            holidays=rule.holidays,
            closed_dates=frozenset(rule.closed_dates),
            margin=timedelta(seconds=rule.margin_seconds),
        )


@dataclass(frozen=True)
class Opening:
    """`hours`: of one place, None where no zone is known. `caps`: calls of one number at the most by the defaults.
    `sources`: of the hours."""

    hours: Hours | None
    caps: Limits
    sources: tuple[str, ...]


@lru_cache(maxsize=20_000)
def open_at(schedule: Schedule, place: Place, zone: str | None) -> Opening:
    """For contacts at that place; `zone`: their own, if it is known."""
    defaults = find_defaults(place) if schedule.defaults else ()
    zones = (zone,) if zone else place.zones
    hours = Hours(
        zones=zones,
        week=intersect(schedule.week, *(default.week for default in defaults)),
        closed=_closed(schedule, place),
        margin=schedule.margin,
    )
    return Opening(
        hours=hours if zones else None,
        caps=strictest(Limits(per_day=one.per_day, per_week=one.per_week) for one in defaults),
        sources=tuple(f"{default.name}: {default.source}" for default in defaults),
    )


def _closed(schedule: Schedule, place: Place) -> Closed:
    """Which local days are closed as a whole."""
    calendars = _calendars(schedule, place)
    dates = schedule.closed_dates
    if not calendars and not dates:
        return open_every_day

    def closed(day: date) -> str | None:
        if day in dates:
            return "a day that the campaign leaves out"
        names = (holiday_name(country, state, day) for country, state in calendars)
        return next((name for name in names if name), None)

    return closed


def _calendars(schedule: Schedule, place: Place) -> list[tuple[str, str | None]]:
    """(country, state) of the holidays that are closed."""
    if schedule.holidays is Holidays.OPEN or place.country is None:
        return []
    if schedule.holidays is Holidays.CLOSED:
        return [(place.country, place.state)]
    if not schedule.defaults:
        return []
    country, *states = find_defaults(place)
    closed: list[tuple[str, str | None]] = [(place.country, None)] if country.holidays else []
    return closed + [(place.country, place.state) for state in states if state.holidays]
