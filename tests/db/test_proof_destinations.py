"""The proof of the toll gate, small: every kind of hostile destination at every door, and its control."""

import pytest

from app.db import Database
from tests.prove.destinations.allow_list import may_reach
from tests.prove.destinations.destinations import measure, planted_fault
from tests.prove.world import seed_organization

pytestmark = pytest.mark.db


async def test_no_hostile_destination_reaches_the_carrier_and_every_ordinary_one_does(db: Database) -> None:
    figures = await measure(db, await seed_organization(db), 760)
    assert figures.held, figures.rows


async def test_a_gate_that_reads_numbers_generously_is_caught(db: Database) -> None:
    with planted_fault():
        figures = await measure(db, await seed_organization(db), 120)
    assert not figures.held, figures.rows
    assert figures.rows["of these outside the allow-list"] != "0"
    assert figures.rows["forged rows that were dialed"] != "0"


@pytest.mark.parametrize(
    ("to", "may"),
    [
        ("+12025550123", True),
        ("+442079460123", True),
        ("+12025550101", False),
        ("+19075550123", False),
        ("+18765550123", False),
        ("+14165550123", False),
        ("+19005550123", False),
        ("+12029765012", False),
        ("+447012345678", False),
        ("+447781123456", False),
        ("+449098790000", False),
        ("+493023125000", False),
        ("+870773111632", False),
        ("+12025550123;ext=1", False),
        (" +12025550123", False),
        ("+12025550123\n", False),
    ],
)
def test_the_judge_knows_by_itself_who_may_be_called(to: str, may: bool) -> None:
    assert may_reach(to) is may
