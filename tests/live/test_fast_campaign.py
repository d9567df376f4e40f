"""`make prove ONLY=campaign`, small: a crowd in fast time, with the carrier in trouble, judged by its journal."""

import pytest

from tests.prove.fast.campaign import CampaignProof, Course, run_course
from tests.prove.proof import Sizes

pytestmark = pytest.mark.live

SMALL = Sizes({"PROVE_CONTACTS": "240", "PROVE_CAMPAIGN_SECONDS": "240"})


async def test_a_crowd_is_dialed_by_two_dialers_and_nobody_is_lost_or_called_who_may_not_be() -> None:
    figures = await CampaignProof().run(SMALL)
    assert figures.held, figures.rows


async def test_dialing_twice_is_found_in_the_carriers_journal() -> None:
    figures = await run_course(Course.read(SMALL, 240, fault="twice", carrier_faults=False))
    assert not figures.held
    assert figures.rows["attempts dialed twice"] != "0"
