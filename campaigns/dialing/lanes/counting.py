"""Who holds lines of which lane, from rows. Pure."""

from collections.abc import Iterable, Sequence

from app.db import Row
from campaigns.rules.pacing import Lane, OrgLimits


def lane_keys(number_id: object, carrier: str | None, trunk_id: object) -> tuple[str, ...]:
    """What a dial from this number goes through: its trunk, or the account at its carrier; and the number itself."""
    through = f"trunk:{trunk_id}" if trunk_id else f"carrier:{carrier}"
    return (f"number:{number_id}", through) if through > f"number:{number_id}" else (through, f"number:{number_id}")


def read_lane(lane: Row, campaigns: Sequence[Row], others: Sequence[Row]) -> Lane:
    """The lane with what campaigns (from_number_id, carrier, trunk_id, open_attempts, waiting_for_slot), and calls that
    are none of a campaign's (`select_other_calls`), hold of it."""
    dialing = [row for row in campaigns if lane["key"] in _keys_of(row["from_number_id"], row)]
    talking = [row for row in others if lane["key"] in _keys_of(row["number_id"], row)]
    return Lane(
        key=lane["key"],
        calls_per_second=lane["calls_per_second"],
        max_concurrent=lane["max_concurrent"],
        open_calls=_total(dialing, "open_attempts") + _total(talking, "inbound") + _total(talking, "outbound"),
        waiting_for_slot=_total(dialing, "waiting_for_slot"),
        next_slot_in_seconds=lane["next_slot_in_seconds"],
    )


def read_limits(settings: Row | None, campaigns: Sequence[Row], others: Sequence[Row]) -> OrgLimits:
    """The organization's lines, by the same rows."""
    return OrgLimits(
        max_concurrent=settings["max_concurrent_calls"] if settings else None,
        inbound_share=settings["inbound_share"] if settings else 0.0,
        open_outbound=_total(campaigns, "open_attempts") + _total(others, "outbound"),
        open_inbound=_total(others, "inbound"),
    )


def _keys_of(number_id: object, row: Row) -> tuple[str, ...]:
    return lane_keys(number_id, row["carrier"], row["trunk_id"])


def _total(rows: Iterable[Row], name: str) -> int:
    return sum(row[name] for row in rows)
