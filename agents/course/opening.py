"""The beginning of a call: which call it is, which team answers it, and what its agents know already."""

from dataclasses import dataclass
from zoneinfo import available_timezones

import phonenumbers
from livekit import rtc
from livekit.agents import NOT_GIVEN, ChatContext, NotGivenOr
from phonenumbers import timezone

from agents.conversation import build_agents
from agents.conversation_state import ConversationState
from agents.course.ending import Ending
from agents.course.person import find_person
from agents.evaluation import store as evaluation_store
from agents.record import transcript_store
from agents.record.transcript import Transcript, write_chat_context
from agents.speech.registry import Providers
from agents.team.definition import TeamDefinition
from agents.team.teams import load_team_version
from app.db import Database
from app.errors import NotFound
from telephony.calls import Call, Direction, DispatchMetadata, End, EndReason, EndResult, load_call
from telephony.floor.answered import FloorCall, find_floor
from telephony.hints import leave_hint
from telephony.inbound import answer_inbound, read_sip_arrival

SIP_LEG_SECONDS = 3.0
"""LiveKit SIP is in the room before it asks for an agent, or a moment later."""


class NobodyCame(NotFound):
    """The agent was called into a room in which no call is waiting."""

    code = "nobody_came"


@dataclass(frozen=True)
class Opened:
    """A call, the team that has it, and for a rescue what was said so far and by whom last. `floor`: whose call it is
    where people take it, not the agents."""

    call: Call
    definition: TeamDefinition
    rescue: bool = False
    history: NotGivenOr[ChatContext] = NOT_GIVEN
    active: str = ""
    floor: FloorCall | None = None


async def open_call(db: Database, room: rtc.Room, metadata: DispatchMetadata) -> Opened:
    """Find or open the row and load its team. Raises UnknownNumber, CallNotFound, NobodyCame."""
    call = await identify_call(db, room, metadata)
    if call.end is not None or call.team_version_id is None:
        raise NobodyCame("The call is over, or has no team.")
    async with db.system() as connection:
        definition = (await load_team_version(connection, call.team_version_id)).definition
        floor = await find_floor(connection, call.attempt_id, call.from_number)
        if definition.evaluation and floor is None:
            await evaluation_store.insert_due(connection, call_id=call.id, org_id=call.org_id)
        if not metadata.rescue:
            return Opened(call, definition, floor=floor)
        turns = await transcript_store.select_turns(connection, call.id)
        last = await transcript_store.select_last_agent(connection, call.id)
    known = any(agent.name == last for agent in definition.agents)
    return Opened(call, definition, True, write_chat_context(turns), last if last and known else "", floor)


async def identify_call(db: Database, room: rtc.Room, metadata: DispatchMetadata) -> Call:
    """The call that the dispatch names; without a name, the SIP call that has just come into the room."""
    if metadata.call_id is not None:
        return await load_call(db, metadata.call_id)
    leg = await find_person(room, within_seconds=SIP_LEG_SECONDS)
    arrival = read_sip_arrival(room.name, leg.attributes) if leg else None
    if arrival is None:
        raise NobodyCame("No SIP call came into the room.")
    return await answer_inbound(db, arrival)


def find_zone(call: Call) -> str:
    """The person's time zone: what their list says (the variable `time_zone`), else the only one in which their number
    may be; empty otherwise."""
    given = call.variables.get("time_zone")
    if isinstance(given, str) and given in available_timezones():
        return given
    number = call.to_number if call.direction is Direction.OUTBOUND else call.from_number
    try:
        zones = timezone.time_zones_for_number(phonenumbers.parse(number or ""))
    except phonenumbers.NumberParseException:
        return ""
    return zones[0] if len(zones) == 1 and zones[0] in available_timezones() else ""


def prepare_agents(
    opened: Opened, providers: Providers, db: Database, transcript: Transcript, ending: Ending, *, answered: bool
) -> ConversationState:
    """The agents of this call and what they share; the active one speaks as soon as the call is answered."""
    call = opened.call

    async def hang_up() -> None:
        ending.end(End(EndResult.COMPLETED, EndReason.AGENT_ENDED))

    async def on_handoff(from_agent: str, to_agent: str) -> None:
        transcript.add_handoff(from_agent, to_agent)

    state = ConversationState(
        definition=opened.definition,
        hang_up=hang_up,
        leave_hint=lambda hint: leave_hint(db, call.id, hint),
        on_handoff=on_handoff,
        variables=call.variables,
        zone=find_zone(call),
        # Where people take the call no agent waits for the answer to speak.
        answered=answered and opened.floor is None,
        silent=opened.floor is not None,
        rescue=opened.rescue,
        active=opened.active,
    )
    build_agents(
        state,
        make_llm=lambda agent: providers.build_llm(opened.definition, agent, call.variables),
        make_tts=lambda agent: providers.build_tts(agent.voice),
        history=opened.history,
    )
    return state
