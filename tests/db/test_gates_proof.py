"""The proof of the gates, small: `make prove ONLY=gates` runs a million pairs."""

import pytest

from tests.prove.callees.gates import GateProof
from tests.prove.proof import Sizes

pytestmark = pytest.mark.db

SMALL = Sizes({"PROVE_PAIRS": "5400"})


async def test_the_gates_and_a_slow_judge_agree_about_every_contact_at_every_instant() -> None:
    figures = await GateProof().run(SMALL)
    assert figures.held, dict(figures.rows)


async def test_the_judge_notices_an_offset_that_is_a_week_old() -> None:
    figures = await GateProof().control(SMALL)
    assert not figures.held
