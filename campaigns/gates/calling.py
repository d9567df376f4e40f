"""May this number ring at this moment? Pure."""

from dataclasses import dataclass
from datetime import datetime

from app.ids import E164
from campaigns.rules.calling.places import Place, find_place
from campaigns.rules.calling.ruling import Ruling
from campaigns.rules.calling.schedule import Opening, Schedule, open_at
from campaigns.rules.calling.weeks import describe_week
from campaigns.rules.calling.zones import describe_wall, read_zone

ZONES_TOLD = 3


def find_opening(schedule: Schedule, phone: E164, time_zone: str | None) -> Opening:
    """The hours that hold for the number; `time_zone`: of the list, believed if it is one."""
    zone = read_zone(time_zone) if time_zone else None
    return open_at(schedule, find_place(phone), zone)


@dataclass(frozen=True)
class Spot:
    """What holds at one place at one moment."""

    opening: Opening
    ruling: Ruling


class Spots:
    """The answers for one moment: contacts of a batch share few places, so each place is judged once."""

    def __init__(self, schedule: Schedule, now: datetime) -> None:
        self._schedule, self._now = schedule, now
        self._known: dict[tuple[Place, str | None], Spot] = {}

    def find(self, phone: E164, time_zone: str | None) -> Spot:
        """`time_zone`: of the list."""
        place = find_place(phone)
        spot = self._known.get((place, time_zone))
        if spot is None:
            opening = find_opening(self._schedule, phone, time_zone)
            spot = Spot(opening, judge_hours(self._schedule, phone, time_zone, self._now))
            self._known[(place, time_zone)] = spot
        return spot


def judge_hours(schedule: Schedule, phone: E164, time_zone: str | None, now: datetime) -> Ruling:
    """Whether it is open there now; else when it is next, None: never."""
    place = find_place(phone)
    opening = find_opening(schedule, phone, time_zone)
    source = tell_zone_source(place, time_zone)
    hours = opening.hours
    if hours is None:
        return Ruling(False, "the number may be anywhere and the list has no time zone for it", source)
    told = [describe_wall(zone, now) for zone in hours.zones[:ZONES_TOLD]]
    if len(hours.zones) > ZONES_TOLD:
        told.append(f"{len(hours.zones) - ZONES_TOLD} zones more")
    here = ", ".join(told)
    if hours.is_open(now):
        return Ruling(True, f"it is {here}", source)
    basis = f" ({'; '.join(opening.sources)})" if opening.sources else ""
    closed = next((name for zone in hours.zones if (name := hours.closed_on(zone, now))), None)
    holiday = f", {closed}" if closed else ""
    next_at = hours.next_open(now)
    reason = f"it is {here}{holiday}; open {describe_week(hours.week)}{basis}"
    return Ruling(False, reason if next_at else f"{reason}, which is never in all zones at once", source, next_at)


def tell_zone_source(place: Place, time_zone: str | None) -> str:
    """Where the zone comes from: the evidence of each verdict on hours."""
    zone = read_zone(time_zone) if time_zone else None
    if zone:
        return f"zone {zone} of the list"
    wrong = f' (the list says "{time_zone}", which is no zone)' if time_zone else ""
    if not place.zones:
        return f"no zone is known for the number{wrong}"
    if len(place.zones) == 1:
        return f"zone {place.zones[0]} of the number, {place.name}{wrong}"
    return f"all {len(place.zones)} zones in which a number of {place.name} like this may be{wrong}"
