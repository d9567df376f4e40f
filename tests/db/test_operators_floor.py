"""Operators' presence, the calls that become theirs, and what counts as abandoned."""

import asyncio
from uuid import UUID

import pytest

from app.db import Database
from app.ids import OrgId
from campaigns.campaigns import Campaign
from telephony.calls import End, EndReason, EndResult, end_call
from telephony.floor import operator_store
from telephony.floor.answered import (
    abandon_call,
    connect_operator,
    find_floor,
    finish_floor_call,
    keep_floor,
    note_machine,
    reserve_operator,
)
from telephony.floor.operators import OperatorState
from tests.db.campaign_world import add_team, running_campaign
from tests.db.floor_world import (
    day_counts,
    finish_call,
    floor_of,
    operator_now,
    outcome_of,
    put_call,
    put_operator,
    state_of,
)

pytestmark = pytest.mark.db

HUNG_UP = End(EndResult.COMPLETED, EndReason.CALLEE_HUNG_UP)


@pytest.fixture
async def campaign(db: Database, org: OrgId) -> Campaign:
    await add_team(db, org)
    made = await running_campaign(db, org, 1)
    async with db.system() as connection:
        await connection.execute(
            "update campaigns set mode = 'predictive', pace = $2 where id = $1",
            made.id,
            {"predictive": {"message": "This was {organization}, {from_number}.", "connect_seconds": 1.5}},
        )
    return made


async def pass_time(db: Database, operator_id: UUID, *, beat: float = 0, since: float = 0) -> None:
    """Their last beat, or change, was so many seconds ago."""
    async with db.system() as connection:
        await connection.execute(
            """update operators set beat_at = beat_at - make_interval(secs => $2),
                                    since = since - make_interval(secs => $3) where id = $1""",
            operator_id,
            beat,
            since,
        )


async def test_of_answers_that_come_at_once_as_many_get_an_operator_as_there_are_and_each_another(
    db: Database, org: OrgId, campaign: Campaign
) -> None:
    for number in range(3):
        await put_operator(db, org, f"Operator {number}")
    calls = [await put_call(db, campaign, phone=f"+1202555013{number}") for number in range(6)]
    held = await asyncio.gather(*[reserve_operator(db, call, floor_of(campaign)) for call in calls])
    given = [one for one in held if one is not None]
    # Whoever found every free one held by others asks again, as the worker does.
    for call, one in zip(calls, held, strict=True):
        if one is None and (again := await reserve_operator(db, call, floor_of(campaign))):
            given.append(again)
    assert len(given) == len(set(given)) == 3
    assert await day_counts(db, campaign) == (6, 0)


async def test_two_answers_and_one_operator_make_one_talk_and_one_abandoned_call(
    db: Database, org: OrgId, campaign: Campaign
) -> None:
    ada = await put_operator(db, org, "Ada")
    one, other = await put_call(db, campaign), await put_call(db, campaign, phone="+12025550143")
    held = await asyncio.gather(*[reserve_operator(db, call, floor_of(campaign)) for call in (one, other)])
    assert sorted(map(str, held)) == sorted([str(ada), "None"])
    lucky, left = (one, other) if held[0] else (other, one)
    assert await connect_operator(db, lucky, ada)
    await abandon_call(db, left, floor_of(campaign))
    # However often it is said.
    await abandon_call(db, left, floor_of(campaign))
    assert await day_counts(db, campaign) == (2, 1)
    assert (await outcome_of(db, lucky), await outcome_of(db, left)) == ("connected", "abandoned")
    assert await state_of(db, org, ada) is OperatorState.ON_CALL


async def test_the_operator_who_is_free_the_longest_is_called_and_a_worker_that_asks_again_gets_the_same(
    db: Database, org: OrgId, campaign: Campaign
) -> None:
    ada, ben = await put_operator(db, org, "Ada"), await put_operator(db, org, "Ben")
    await pass_time(db, ben, since=60)
    call = await put_call(db, campaign)
    assert await reserve_operator(db, call, floor_of(campaign)) == ben
    assert await reserve_operator(db, call, floor_of(campaign)) == ben
    assert (await state_of(db, org, ada), await state_of(db, org, ben)) == (
        OperatorState.AVAILABLE,
        OperatorState.RESERVED,
    )
    assert await day_counts(db, campaign) == (1, 0)


async def test_who_does_not_join_is_offline_with_one_call_missed_and_that_call_is_abandoned(
    db: Database, org: OrgId, campaign: Campaign
) -> None:
    ada, call = await put_operator(db, org, "Ada"), await put_call(db, campaign)
    await reserve_operator(db, call, floor_of(campaign))
    await abandon_call(db, call, floor_of(campaign))
    now = await operator_now(db, org, ada)
    assert (now.state, now.missed, now.call) == (OperatorState.OFFLINE, 1, None)
    # Who comes now comes too late.
    assert not await connect_operator(db, call, ada)
    assert await outcome_of(db, call) == "abandoned"


async def test_after_the_call_an_operator_writes_it_up_and_is_available_when_that_is_over(
    db: Database, org: OrgId, campaign: Campaign
) -> None:
    ada, call = await put_operator(db, org, "Ada"), await put_call(db, campaign)
    await reserve_operator(db, call, floor_of(campaign))
    await connect_operator(db, call, ada)
    # Nothing ends before the call does.
    await finish_floor_call(db, call.id)
    assert await state_of(db, org, ada) is OperatorState.ON_CALL
    await finish_call(db, call)
    await finish_floor_call(db, call.id)
    assert await state_of(db, org, ada) is OperatorState.WRAP_UP
    await keep_floor(db)
    assert await state_of(db, org, ada) is OperatorState.WRAP_UP
    await pass_time(db, ada, since=16)
    await keep_floor(db)
    assert await state_of(db, org, ada) is OperatorState.AVAILABLE


async def test_an_operator_who_vanished_is_offline_and_gets_no_call(
    db: Database, org: OrgId, campaign: Campaign
) -> None:
    ada = await put_operator(db, org, "Ada")
    await pass_time(db, ada, beat=13)
    call = await put_call(db, campaign)
    assert await reserve_operator(db, call, floor_of(campaign)) is None
    await keep_floor(db)
    assert await state_of(db, org, ada) is OperatorState.OFFLINE
    async with db.system() as connection:
        assert await operator_store.set_available(connection, ada)
    await keep_floor(db)
    assert await state_of(db, org, ada) is OperatorState.AVAILABLE


async def test_an_operator_who_talks_and_does_not_beat_keeps_the_call(
    db: Database, org: OrgId, campaign: Campaign
) -> None:
    ada, call = await put_operator(db, org, "Ada"), await put_call(db, campaign)
    await reserve_operator(db, call, floor_of(campaign))
    await connect_operator(db, call, ada)
    await pass_time(db, ada, beat=60)
    await keep_floor(db)
    assert await state_of(db, org, ada) is OperatorState.ON_CALL


async def test_who_hangs_up_before_an_operator_came_frees_that_operator_and_is_not_abandoned(
    db: Database, org: OrgId, campaign: Campaign
) -> None:
    ada, call = await put_operator(db, org, "Ada"), await put_call(db, campaign)
    await reserve_operator(db, call, floor_of(campaign))
    await end_call(db, call.id, HUNG_UP)
    # Whoever keeps the floor sees it, even where the worker died over it.
    await keep_floor(db)
    assert await state_of(db, org, ada) is OperatorState.AVAILABLE
    assert await outcome_of(db, call) == "gone"
    assert await day_counts(db, campaign) == (1, 0)
    assert await reserve_operator(db, call, floor_of(campaign)) is None


async def test_a_machine_gets_no_operator_and_counts_as_answered_by_nobody(
    db: Database, org: OrgId, campaign: Campaign
) -> None:
    ada = await put_operator(db, org, "Ada")
    at_once, later = await put_call(db, campaign), await put_call(db, campaign, phone="+12025550143")
    await note_machine(db, at_once, floor_of(campaign))
    assert await state_of(db, org, ada) is OperatorState.AVAILABLE
    await reserve_operator(db, later, floor_of(campaign))
    await note_machine(db, later, floor_of(campaign))
    assert await state_of(db, org, ada) is OperatorState.AVAILABLE
    assert await day_counts(db, campaign) == (0, 0)
    assert {await outcome_of(db, call) for call in (at_once, later)} == {"machine"}


async def test_an_operator_takes_the_calls_of_their_campaigns_only(
    db: Database, org: OrgId, campaign: Campaign
) -> None:
    other = await running_campaign(db, org, 1, first=130)
    await put_operator(db, org, "Ada", campaigns=[other.id])
    call = await put_call(db, campaign)
    assert await reserve_operator(db, call, floor_of(campaign)) is None
    of_other = await put_call(db, other, phone="+12025550143")
    assert await reserve_operator(db, of_other, floor_of(other)) is not None


async def test_a_reservation_whose_worker_died_is_given_back(db: Database, org: OrgId, campaign: Campaign) -> None:
    ada, call = await put_operator(db, org, "Ada"), await put_call(db, campaign)
    await reserve_operator(db, call, floor_of(campaign))
    await keep_floor(db)
    assert await state_of(db, org, ada) is OperatorState.RESERVED
    await pass_time(db, ada, since=31)
    await keep_floor(db)
    assert await state_of(db, org, ada) is OperatorState.AVAILABLE


async def test_a_call_is_peoples_where_its_campaign_says_so_and_carries_the_message_that_the_law_asks_for(
    db: Database, org: OrgId, campaign: Campaign
) -> None:
    call = await put_call(db, campaign)
    async with db.system() as connection:
        floor = await find_floor(connection, call.attempt_id, call.from_number)
        await connection.execute("update campaigns set pace = '{}' where id = $1", campaign.id)
        usual = await find_floor(connection, call.attempt_id, call.from_number)
        await connection.execute("update campaigns set mode = 'ai' where id = $1", campaign.id)
        assert await find_floor(connection, call.attempt_id, call.from_number) is None
        assert await find_floor(connection, None, None) is None
    assert floor is not None
    assert (floor.message, floor.connect_seconds) == ("This was Test organization, 1, 2 0 2, 5 5 5, 0 1 0 1.", 1.5)
    assert usual is not None
    assert "Test organization" in usual.message
    assert usual.connect_seconds == 2.0
