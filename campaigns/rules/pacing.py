"""How many contacts to take on now, and how far apart their dials are. Pure."""

import math

HORIZON_SECONDS = 0.5
"""Contacts are claimed for the dial slots of this near future: more than a tick apart, far less than a lease."""

SPACING_MARGIN = 1.05
"""Slots are 5 % wider than the rate asks for. They are exact by the database's clock; the margin is for what lies
between a slot and the carrier's door, so that the carrier does not count one too many either."""


def slot_spacing_seconds(calls_per_second: float) -> float:
    """The least time between two dials: no window of one second ever holds more than `calls_per_second` of them
    (for a rate below one: no window of 1/rate seconds more than one)."""
    return SPACING_MARGIN / calls_per_second


def count_to_claim(
    *,
    max_concurrent: int,
    calls_per_second: float,
    open_attempts: int,
    waiting_for_slot: int,
    next_slot_in_seconds: float,
) -> int:
    """Contacts to claim now: what fits under the concurrency, and has a dial slot soon.

    `open_attempts`: every attempt that may hold a line, those whose outcome is unknown too. `waiting_for_slot`: of
    these, claimed and not dialed yet, whoever holds them.
    """
    free = max_concurrent - open_attempts
    ahead = HORIZON_SECONDS - max(next_slot_in_seconds, 0.0)
    if ahead < 0:
        return 0
    slots = 1 + math.floor(ahead / slot_spacing_seconds(calls_per_second))
    return max(0, min(free, slots - waiting_for_slot))
