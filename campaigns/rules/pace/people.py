"""Whose calls idle people take, where several campaigns share them: each counts for one campaign at a time, or two
campaigns would dial for the same person. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.ids import CampaignId


@dataclass(frozen=True)
class Demand:
    """A campaign whose calls people take. `coming`: people whom its calls under way need, as far as they will be
    answered. `wants`: whether it could dial more."""

    campaign_id: CampaignId
    coming: float = 0.0
    wants: bool = True
    priority: int = 0
    share: float = 1.0


Takes = frozenset[CampaignId] | None
"""The campaigns whose calls a person takes; None: every one's."""


def share_idle(people: Sequence[Takes], demands: Sequence[Demand]) -> dict[CampaignId, int]:
    """How many idle people each campaign may count on.

    First come the calls that are under way, then campaigns that could dial: those of the highest priority alone, among
    equals whoever has least for its share. Who takes the calls of few campaigns is placed first.
    """
    given = {demand.campaign_id: 0 for demand in demands}
    for takes in sorted(people, key=lambda takes: math.inf if takes is None else len(takes)):
        fitting = [one for one in demands if takes is None or one.campaign_id in takes]
        short = [one for one in fitting if given[one.campaign_id] < one.coming]
        wanting = [one for one in fitting if one.wants]
        if short:
            chosen = max(short, key=lambda one: one.coming - given[one.campaign_id])
        elif wanting:
            chosen = min(wanting, key=lambda one: (-one.priority, given[one.campaign_id] / one.share))
        elif fitting:
            chosen = fitting[0]
        else:
            continue
        given[chosen.campaign_id] += 1
    return given
