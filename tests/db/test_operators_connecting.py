"""The answered call of a people's campaign, as the worker handles it: with real rows, and a room and a session that do
what LiveKit's would."""

import asyncio
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from livekit import rtc
from livekit.rtc import EventEmitter

from agents.course.ending import Ending
from agents.floor import connecting
from agents.floor.connecting import ABANDONED, MACHINE, OPERATOR_LEFT, give_to_operator
from agents.floor.ear import RATE
from agents.floor.screening import Screening
from app.db import Database, DatabaseUnavailable
from app.ids import OrgId
from app.tasks import Tasks
from campaigns.campaigns import Campaign
from telephony.calls import AnsweredBy, Call, load_call
from telephony.floor.answered import FloorCall, reserve_operator
from telephony.floor.operators import OperatorState, operator_identity
from telephony.legs import LegKind
from tests.db.campaign_world import add_team, running_campaign, until
from tests.db.floor_world import day_counts, floor_of, operator_now, outcome_of, put_call, put_operator, state_of
from tests.fakes import room_leg
from tests.unit.test_worker_endings import Session

pytestmark = pytest.mark.db


class Room(EventEmitter[Any]):
    """The part of LiveKit's room that tells who is there."""

    def __init__(self) -> None:
        super().__init__()
        self.remote_participants: dict[str, Any] = {}

    def enter(self, operator_id: UUID) -> Any:
        """The operator comes and publishes a microphone."""
        participant = SimpleNamespace(identity=operator_identity(operator_id), track_publications={})
        track = SimpleNamespace(kind=rtc.TrackKind.KIND_AUDIO)
        self.remote_participants[participant.identity] = participant
        self.emit("track_subscribed", track, None, participant)
        return participant


@dataclass
class Stage:
    """A call that is answered, and what the worker has around it."""

    db: Database
    call: Call
    floor: FloorCall
    room: Room = field(default_factory=Room)
    session: Session = field(default_factory=Session)
    tasks: Tasks = field(default_factory=lambda: Tasks("failed"))
    ending: Ending = field(default_factory=Ending)
    recorded: list[Any] = field(default_factory=list)
    screening: Screening = field(init=False)

    def __post_init__(self) -> None:
        self.screening = Screening(self.session)  # type: ignore[arg-type]

    def begin(self, *, quiet_seconds: float = 1.5, rescue: bool = False, **floor: Any) -> None:
        """The callee picks up, and says nothing for so long."""
        self.screening.hear(np.zeros(round(quiet_seconds * RATE), np.int16), RATE)

        async def at_once() -> None: ...

        async def warm(*_: Any) -> None: ...

        running = SimpleNamespace(session=self.session, keep=self.tasks.keep, wait_until_heard=at_once)
        agent = SimpleNamespace(voice=SimpleNamespace(speed=1.0))
        company: Any = SimpleNamespace(
            db=self.db,
            call=self.call,
            room=self.room,
            person=room_leg(LegKind.STREAM, "caller"),
            running=running,
            ending=self.ending,
            state=SimpleNamespace(rescue=rescue, active="one", definition=SimpleNamespace(agent=lambda _: agent)),
            desk=SimpleNamespace(engines=SimpleNamespace(speaking=SimpleNamespace(warm=warm))),
        )
        recording: Any = self.recorded
        given = give_to_operator(company, replace(self.floor, **floor), self.screening, recording)
        self.tasks.keep(given, name="operator")

    def understand(self, words: str) -> None:
        """The recognizer tells what the callee's side has said."""
        self.session.emit("user_input_transcribed", SimpleNamespace(transcript=words, is_final=True))

    async def until(self, state: OperatorState, operator_id: UUID) -> None:
        async def so() -> bool:
            return await state_of(self.db, OrgId(self.call.org_id), operator_id) is state

        await until(so)


@pytest.fixture
async def campaign(db: Database, org: OrgId) -> Campaign:
    await add_team(db, org)
    return await running_campaign(db, org, 1)


@pytest.fixture
async def stage(db: Database, campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> Any:
    async def record(track: Any, recording: list[Any]) -> None:
        recording.append(track)

    monkeypatch.setattr(connecting, "record_operator", record)
    stage = Stage(db, await put_call(db, campaign), replace(floor_of(campaign), connect_seconds=30.0))
    yield stage
    await stage.tasks.close()


async def test_an_operator_who_comes_in_has_the_call_until_they_leave_and_the_agents_say_nothing(
    db: Database, org: OrgId, stage: Stage
) -> None:
    ada = await put_operator(db, org, "Ada")
    stage.begin()
    await stage.until(OperatorState.RESERVED, ada)
    participant = stage.room.enter(ada)
    await stage.until(OperatorState.ON_CALL, ada)
    assert not stage.ending.is_over
    stage.room.emit("participant_disconnected", participant)
    assert await asyncio.wait_for(stage.ending.wait(), 10) == OPERATOR_LEFT
    assert (stage.session.said, len(stage.recorded)) == ([], 1)
    assert await outcome_of(db, stage.call) == "connected"


async def test_without_a_free_operator_the_callee_hears_the_message_and_the_call_counts_as_abandoned(
    db: Database, campaign: Campaign, stage: Stage
) -> None:
    stage.begin(connect_seconds=0.1)
    assert await asyncio.wait_for(stage.ending.wait(), 10) == ABANDONED
    assert stage.session.said == ["Nobody is free."]
    await stage.tasks.drain(within_seconds=10)
    assert await day_counts(db, campaign) == (1, 1)
    assert (await load_call(db, stage.call.id)).hint == {"disposition": "abandoned"}


async def test_an_operator_who_becomes_free_within_the_time_is_not_missed(
    db: Database, org: OrgId, stage: Stage
) -> None:
    stage.begin()

    async def waits() -> bool:
        return await outcome_of(db, stage.call) == "waiting"

    await until(waits)
    ada = await put_operator(db, org, "Ada")
    await stage.until(OperatorState.RESERVED, ada)
    assert stage.session.said == []


async def test_where_the_operator_does_not_come_the_callee_hears_the_message_and_the_operator_is_offline(
    db: Database, org: OrgId, campaign: Campaign, stage: Stage
) -> None:
    ada = await put_operator(db, org, "Ada")
    assert await reserve_operator(db, stage.call, stage.floor) == ada
    stage.begin(connect_seconds=0.3)
    assert await asyncio.wait_for(stage.ending.wait(), 10) == ABANDONED
    assert stage.session.said == ["Nobody is free."]
    await stage.tasks.drain(within_seconds=10)
    now = await operator_now(db, org, ada)
    assert (now.state, now.missed) == (OperatorState.OFFLINE, 1)
    assert await day_counts(db, campaign) == (1, 1)


async def test_a_machine_is_hung_up_on_and_no_operator_hears_of_it(
    db: Database, org: OrgId, campaign: Campaign, stage: Stage
) -> None:
    ada = await put_operator(db, org, "Ada")
    stage.begin(quiet_seconds=0.2)
    stage.understand("You have reached Dia, please leave a message after the beep")
    assert await asyncio.wait_for(stage.ending.wait(), 10) == MACHINE
    assert await state_of(db, org, ada) is OperatorState.AVAILABLE
    assert (await outcome_of(db, stage.call), stage.session.said) == ("machine", [])
    assert await day_counts(db, campaign) == (0, 0)
    assert (await load_call(db, stage.call.id)).answered_by is AnsweredBy.MACHINE


async def test_words_of_a_machine_that_come_late_free_the_operator_who_is_on_the_way(
    db: Database, org: OrgId, campaign: Campaign, stage: Stage
) -> None:
    ada = await put_operator(db, org, "Ada")
    stage.begin()
    await stage.until(OperatorState.RESERVED, ada)
    stage.understand("Please leave a message")
    assert await asyncio.wait_for(stage.ending.wait(), 10) == MACHINE
    assert await state_of(db, org, ada) is OperatorState.AVAILABLE
    assert (await outcome_of(db, stage.call), await day_counts(db, campaign)) == ("machine", (0, 0))


async def test_words_of_a_machine_that_come_while_nobody_is_free_are_no_call_abandoned(
    db: Database, campaign: Campaign, stage: Stage
) -> None:
    stage.begin()

    async def waits() -> bool:
        return await outcome_of(db, stage.call) == "waiting"

    await until(waits)
    stage.understand("Please leave a message")
    assert await asyncio.wait_for(stage.ending.wait(), 10) == MACHINE
    assert (stage.session.said, await day_counts(db, campaign)) == ([], (0, 0))


async def test_after_a_rescue_nobody_is_taken_for_a_machine(db: Database, org: OrgId, stage: Stage) -> None:
    ada = await put_operator(db, org, "Ada")
    stage.understand("Please leave a message, I told him")
    stage.begin(rescue=True)
    await stage.until(OperatorState.RESERVED, ada)
    stage.room.enter(ada)
    await stage.until(OperatorState.ON_CALL, ada)
    assert not stage.ending.is_over


async def test_the_callee_hears_the_message_also_while_the_database_is_away(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def system() -> Any:
        raise DatabaseUnavailable("Away.")

    monkeypatch.setattr(stage.db, "system", system)
    stage.begin()
    assert await asyncio.wait_for(stage.ending.wait(), 10) == ABANDONED
    assert stage.session.said == ["Nobody is free."]
