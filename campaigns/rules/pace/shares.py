"""Who dials next where campaigns share lines: priority first, then weighted fair shares; nobody starves. Pure."""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from app.ids import CampaignId

LEAST_OF_FAIR = 0.1
"""Whatever the priorities are, a campaign that has work gets a tenth of what its share alone would give it."""


@dataclass(frozen=True)
class Claimant:
    """A campaign that could dial `want` contacts now. `pools`: what each of its dials takes one of.

    `served`: its dials of the near past, counted alike for all (the last minute, say); None where nobody counted, then
    a lottery weighted by share decides.
    """

    campaign_id: CampaignId
    want: int
    priority: int = 0
    share: float = 1.0
    served: float | None = None
    pools: tuple[str, ...] = ()


def share_out(claimants: Sequence[Claimant], pools: Mapping[str, int], *, now: datetime) -> dict[CampaignId, int]:
    """How many each may dial: never more than it wants, never more in all than a pool holds; nothing is left in a
    pool that a claimant could still take. A pool that is not named has no bottom. `now` only seeds the lottery."""
    left = dict(pools)
    granted = {one.campaign_id: 0 for one in claimants}
    able = [one for one in claimants if one.want > 0]
    for one in sorted(able, key=lambda one: one.priority):
        _grant(one, _owed(one, able, pools, now), granted, left)
    for priority in sorted({one.priority for one in able}, reverse=True):
        _take_turns([one for one in able if one.priority == priority], granted, left, now)
    return granted


def _grant(one: Claimant, most: int, granted: dict[CampaignId, int], left: dict[str, int]) -> int:
    """Up to `most` for this claimant; how many it got."""
    held = [left[pool] for pool in one.pools if pool in left]
    number = max(0, min([most, one.want - granted[one.campaign_id], *held]))
    granted[one.campaign_id] += number
    for pool in one.pools:
        if pool in left:
            left[pool] -= number
    return number


def _owed(one: Claimant, able: Sequence[Claimant], pools: Mapping[str, int], now: datetime) -> int:
    """What a claimant of lower priority lacks to its least share of what it and its rivals for the same pools got, a
    tenth of a round at most; where nobody counted, that share of this round, its fraction by lot."""
    rivals = [other for other in able if other is one or set(other.pools) & set(one.pools)]
    if len(rivals) == 1 or one.priority == max(other.priority for other in rivals):
        return 0
    least = LEAST_OF_FAIR * one.share / sum(other.share for other in rivals)
    this_round = min((pools[pool] for pool in one.pools if pool in pools), default=one.want)
    if any(other.served is None for other in rivals):
        return math.floor(least * this_round + math.exp(-_lot(one, now)))
    lacking = math.floor(least * sum(other.served or 0.0 for other in rivals) - (one.served or 0.0))
    return min(lacking, max(1, math.floor(LEAST_OF_FAIR * this_round)))


def _take_turns(
    equals: Sequence[Claimant], granted: dict[CampaignId, int], left: dict[str, int], now: datetime
) -> None:
    """Claimants of one priority: whoever had least for its share is next."""
    if len(equals) == 1:
        _grant(equals[0], equals[0].want, granted, left)
        return
    turns = [(had, index) for index, had in enumerate(_start(equals, left, now))]
    heapq.heapify(turns)
    while turns:
        had, index = heapq.heappop(turns)
        if _grant(equals[index], 1, granted, left):
            heapq.heappush(turns, (had + 1 / equals[index].share, index))


def _start(equals: Sequence[Claimant], left: Mapping[str, int], now: datetime) -> list[float]:
    """What each had, divided by its share. One that is far behind (it just began) is put half a round behind, so that
    it catches up without stopping the others."""
    if any(one.served is None for one in equals):
        return [_lot(one, now) / one.share for one in equals]
    had = [(one.served or 0.0) / one.share for one in equals]
    pools = {pool for one in equals for pool in one.pools if pool in left}
    round_size = min([sum(one.want for one in equals), *(left[pool] for pool in pools if left[pool] > 0)])
    behind = round_size / 2 / sum(one.share for one in equals)
    top = max(had)
    # the lottery breaks ties, which the order of the rows must not
    return [max(each, top - behind) + _lot(one, now) * 1e-9 for one, each in zip(equals, had, strict=True)]


def _lot(one: Claimant, now: datetime) -> float:
    """Exponential with mean 1: divided by shares, the least of several belongs to each in proportion to its share."""
    drawn = blake2b(f"{one.campaign_id} {now.isoformat()}".encode(), digest_size=8).digest()
    return -math.log((int.from_bytes(drawn) + 0.5) / 2**64)
