"""Where those who wait are, about a minute ago, and when it is open there: what the forecast of progress rests on.

Counting ten million contacts by zone takes seconds, and progress is asked for every second. So a dialer counts them
once a minute, the large campaigns by sample, and whoever asks reads one row.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from app.db import Connection, Row
from campaigns.outcomes import zone_store as store
from campaigns.rules.calling.places import Place, find_place
from campaigns.rules.calling.schedule import CallingRule, Schedule, open_at
from campaigns.rules.calling.zones import read_zone
from campaigns.rules.forecast import Group

COUNT_EVERY_SECONDS = 60.0

Where = tuple[str | None, str | None, tuple[str, ...], str | None]
"""Country, state, zones of the number, zone of the list: what the hours of a contact depend on."""


async def count_zones(connection: Connection) -> None:
    """Of each running campaign whose count is old; any number of dialers may do so at once."""
    for row in await store.take_stale(connection, seconds=COUNT_EVERY_SECONDS):
        areas = await store.select_areas(connection, row["campaign_id"])
        await store.update_places(connection, row["campaign_id"], add_places(areas, row["places"]))


async def load_waiting(connection: Connection, state: Row) -> list[Group]:
    """`state`: of a campaign, with org_id, id and calling. None where nobody counted yet."""
    places = await store.select_places(connection, state["org_id"], state["id"])
    return read_waiting(places, Schedule.read(CallingRule.model_validate(state["calling"])))


def add_places(areas: Sequence[Row | Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `select_areas` → places, as they are kept. Those of `before` in which nobody waits any more stay, with 0:
    that it was open there is part of how the pace is measured."""
    counts = Counter[Where]({_read_where(place): 0 for place in before})
    for row in areas:
        place = find_place(row["phone"])
        own = read_zone(row["time_zone"]) if row["time_zone"] else None
        counts[place.country, place.state, place.zones, own] += row["contacts"]
    names = ("country", "state", "zones", "time_zone", "contacts")
    return [dict(zip(names, (*where, count), strict=True)) for where, count in counts.items()]


def read_waiting(places: Sequence[Mapping[str, Any]], schedule: Schedule) -> list[Group]:
    """Contacts by hours; whom nobody can tell hours for is never called, and left out."""
    groups: dict[object, Group] = {}
    for place in places:
        country, state, zones, own = _read_where(place)
        hours = open_at(schedule, Place(country, state, zones), own).hours
        if hours is None:
            continue
        known = groups.get((hours.zones, hours.week))
        contacts = place["contacts"] + (known.contacts if known else 0)
        groups[hours.zones, hours.week] = Group(contacts, known.next_window if known else hours.next_window)
    return list(groups.values())


def _read_where(place: Mapping[str, Any]) -> Where:
    return place["country"], place["state"], tuple(place["zones"]), place["time_zone"]
