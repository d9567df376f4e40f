"""LiveKit's server, in our words: rooms, legs, agent dispatch, SIP, tokens and webhooks.

The only importer of `livekit.api`. Every request has a timeout; client retries are off for all of them, because
one of them dials. What LiveKit refuses or fails to answer comes out as `SwitchboardError`, `DialRefused` or
`DialUncertain`.
"""

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import aiohttp
from google.protobuf.duration_pb2 import Duration
from livekit import api

from app.errors import TrunklineError, Unavailable
from app.settings import Settings
from telephony.calls import Call, DispatchMetadata
from telephony.carriers.base import DialRefused, DialUncertain, require_dialable
from telephony.legs import LegKind, RoomLeg, read_leg
from telephony.lines import sip_messages
from telephony.lines.sip_messages import DispatchRule, InboundTrunk, OutboundTrunk
from telephony.livekit_event import EventName, LiveKitEvent
from telephony.sip_dial import dial_error, dial_headers, sip_attributes

Answer = TypeVar("Answer")

REQUEST_TIMEOUT_SECONDS = 10.0
EMPTY_ROOM_SECONDS = 60
"""How long a room that we made waits for its first leg."""
DEPARTED_ROOM_SECONDS = 5
"""How long a room stays after its last leg left."""


class SwitchboardError(Unavailable):
    """LiveKit did not do what was asked; `livekit_code` is its own word ("timeout", "not_found", …)."""

    code = "switchboard_unavailable"
    title = "LiveKit does not answer"

    def __init__(self, detail: str, *, livekit_code: str) -> None:
        super().__init__(detail, livekit_code=livekit_code)
        self.livekit_code = livekit_code


class ForgedWebhook(TrunklineError):
    """The request did not come from our LiveKit."""

    status = 401
    code = "forged_webhook"
    title = "Signature does not match"


class Switchboard:
    """Our one way to LiveKit's server API. Owns an HTTP session: close it."""

    def __init__(self, client: api.LiveKitAPI, settings: Settings) -> None:
        self.client = client
        self._key = settings.livekit_api_key
        self._secret = settings.livekit_api_secret.get_secret_value()
        self._agent_name = settings.agent_name
        self._webhooks = api.WebhookReceiver(api.TokenVerifier(self._key, self._secret))

    @classmethod
    async def connect(cls, settings: Settings) -> "Switchboard":
        """Made inside a running event loop; nothing is sent yet."""
        client = api.LiveKitAPI(
            settings.livekit_url,
            settings.livekit_api_key,
            settings.livekit_api_secret.get_secret_value(),
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS),
            failover=False,
        )
        return cls(client, settings)

    async def close(self) -> None:
        await self.client.aclose()  # type: ignore[no-untyped-call]

    # -- rooms and legs

    async def create_room(self, name: str, *, agent: DispatchMetadata | None = None) -> None:
        """Open the room; with `agent`, LiveKit sends an agent there at once. An open room stays as it is."""
        request = api.CreateRoomRequest(
            name=name,
            empty_timeout=EMPTY_ROOM_SECONDS,
            departure_timeout=DEPARTED_ROOM_SECONDS,
            agents=[self._agent(agent)] if agent else [],
        )
        await ask(self.client.room.create_room(request))

    async def dispatch_agent(self, room_name: str, metadata: DispatchMetadata) -> str:
        """Send (another) agent into the room; it is there in about 0.1 s if a worker is free. Returns an id.

        LiveKit asks the workers of this moment once: where none is free, nobody comes, and it does not say so.
        """
        agent = self._agent(metadata)
        request = api.CreateAgentDispatchRequest(agent_name=agent.agent_name, room=room_name, metadata=agent.metadata)
        return (await ask(self.client.agent_dispatch.create_dispatch(request))).id

    async def was_taken(self, room_name: str, dispatch_id: str) -> bool:
        """Whether a worker took the job of this dispatch."""
        dispatch = await ask_unless_gone(self.client.agent_dispatch.get_dispatch(dispatch_id, room_name))
        return dispatch is not None and len(dispatch.state.jobs) > 0

    async def cancel_dispatch(self, room_name: str, dispatch_id: str) -> None:
        """No error if there is no such dispatch."""
        await ask_unless_gone(self.client.agent_dispatch.delete_dispatch(dispatch_id, room_name))

    async def close_room(self, room_name: str) -> None:
        """Everyone out: SIP legs get a BYE (or, before the answer, a refusal). No error if there is no such room."""
        await ask_unless_gone(self.client.room.delete_room(api.DeleteRoomRequest(room=room_name)))

    async def remove_leg(self, room_name: str, identity: str) -> None:
        """Out with this one; no error if it left already."""
        request = api.RoomParticipantIdentity(room=room_name, identity=identity)
        await ask_unless_gone(self.client.room.remove_participant(request))

    async def list_legs(self, room_name: str) -> list[RoomLeg]:
        """Who is in the room now; nobody if there is no such room."""
        answer = await ask_unless_gone(self.client.room.list_participants(api.ListParticipantsRequest(room=room_name)))
        return [read_leg(participant) for participant in answer.participants] if answer else []

    async def list_rooms(self, names: list[str]) -> set[str]:
        """Which of these rooms exist."""
        answer = await ask(self.client.room.list_rooms(api.ListRoomsRequest(names=names)))
        return {room.name for room in answer.rooms}

    # -- dialing

    async def dial_sip(
        self, call: Call, livekit_trunk_id: str, *, ring_timeout_seconds: int, max_call_seconds: int = 4 * 3600
    ) -> str:
        """Open the call's room with an agent in it and send one INVITE to `call.to_number`; returns LiveKit's SIP call
        id once the callee's leg exists (it rings, or soon will).

        Raises DialRefused when surely no INVITE went out, DialUncertain when one may have.
        """
        require_dialable(call.to_number, call.from_number)
        try:
            await self.create_room(call.room_name, agent=DispatchMetadata(call_id=call.id))
        except SwitchboardError as error:
            raise DialRefused("LiveKit did not open the call's room.", retryable=True) from error
        request = api.CreateSIPParticipantRequest(
            sip_trunk_id=livekit_trunk_id,
            sip_call_to=call.to_number or "",
            sip_number=call.from_number or "",
            room_name=call.room_name,
            participant_identity=f"sip_{call.id}",
            participant_attributes=sip_attributes(call),
            headers=dial_headers(call),
            ringing_timeout=Duration(seconds=ring_timeout_seconds),
            max_call_duration=Duration(seconds=max_call_seconds),
            wait_until_answered=False,
        )
        try:
            info = await self.client.sip.create_sip_participant(request)
        except aiohttp.ClientConnectorError as error:
            raise DialRefused("LiveKit cannot be reached.", retryable=True) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DialUncertain("LiveKit did not answer the dial request.") from error
        except api.ServerError as error:
            raise dial_error(error.code, error.message) from error
        return info.sip_call_id

    # -- what LiveKit SIP accepts and dials through

    async def list_inbound_trunks(self) -> list[InboundTrunk]:
        answer = await ask(self.client.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest()))
        return [sip_messages.read_inbound(item) for item in answer.items]

    async def put_inbound_trunk(self, trunk: InboundTrunk) -> str:
        """Make the trunk, or replace the one whose id it carries; returns LiveKit's id for it."""
        message = sip_messages.write_inbound(trunk)
        if trunk.id:
            await ask(self.client.sip.update_inbound_trunk(trunk.id, message))
            return trunk.id
        made = await ask(self.client.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=message)))
        return made.sip_trunk_id

    async def list_outbound_trunks(self) -> list[OutboundTrunk]:
        answer = await ask(self.client.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest()))
        return [sip_messages.read_outbound(item) for item in answer.items]

    async def put_outbound_trunk(self, trunk: OutboundTrunk) -> str:
        message = sip_messages.write_outbound(trunk)
        if trunk.id:
            await ask(self.client.sip.update_outbound_trunk(trunk.id, message))
            return trunk.id
        made = await ask(self.client.sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=message)))
        return made.sip_trunk_id

    async def delete_trunk(self, livekit_trunk_id: str) -> None:
        """No error if it is gone."""
        await ask_unless_gone(self.client.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=livekit_trunk_id)))

    async def list_dispatch_rules(self) -> list[DispatchRule]:
        answer = await ask(self.client.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest()))
        return [sip_messages.read_rule(item) for item in answer.items]

    async def put_dispatch_rule(self, rule: DispatchRule) -> None:
        message = sip_messages.write_rule(rule)
        made = api.CreateSIPDispatchRuleRequest(dispatch_rule=message)
        sip = self.client.sip
        await ask(sip.update_dispatch_rule(rule.id, message) if rule.id else sip.create_dispatch_rule(made))

    async def delete_dispatch_rule(self, rule_id: str) -> None:
        """No error if it is gone."""
        rule = api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule_id)
        await ask_unless_gone(self.client.sip.delete_dispatch_rule(rule))

    # -- tokens and webhooks

    def mint_token(
        self,
        identity: str,
        room_name: str,
        *,
        kind: LegKind,
        agent: DispatchMetadata | None = None,
        hidden: bool = False,
        lifetime: timedelta = timedelta(minutes=10),
    ) -> str:
        """A key to one room for one leg; with `agent`, the room's opening sends an agent there. The lifetime bounds
        joining, not staying."""
        token = (
            api.AccessToken(self._key, self._secret)
            .with_identity(identity)
            .with_ttl(lifetime)
            .with_attributes({"trunkline.leg": kind.value})
            .with_grants(api.VideoGrants(room_join=True, room=room_name, hidden=hidden))
        )
        if agent is not None:
            config = api.RoomConfiguration(
                empty_timeout=EMPTY_ROOM_SECONDS,
                departure_timeout=DEPARTED_ROOM_SECONDS,
                agents=[self._agent(agent)],
            )
            token = token.with_room_config(config)
        return token.to_jwt()

    def read_webhook(self, body: bytes, auth_header: str) -> LiveKitEvent:
        """The event in a webhook request. Raises ForgedWebhook unless LiveKit signed exactly this body."""
        try:
            event = self._webhooks.receive(body.decode(), auth_header.removeprefix("Bearer "))
        # The library raises bare Exception for a wrong hash, and PyJWT's and protobuf's errors for the rest.
        except Exception as error:
            raise ForgedWebhook("This is not a webhook of our LiveKit server.") from error
        try:
            name = EventName(event.event)
        except ValueError:
            name = EventName.OTHER
        return LiveKitEvent(
            id=event.id,
            name=name,
            room_name=event.room.name,
            leg=read_leg(event.participant) if event.HasField("participant") else None,
            created_at=datetime.fromtimestamp(event.created_at, UTC),
        )

    def _agent(self, metadata: DispatchMetadata) -> api.RoomAgentDispatch:
        return api.RoomAgentDispatch(agent_name=self._agent_name, metadata=metadata.model_dump_json())


GONE_MEANWHILE = frozenset({"could not find object", "requested room does not exist"})
"""What LiveKit says, under the code `unknown`, of a room that somebody else deletes at the same moment."""


async def ask(request: Awaitable[Answer]) -> Answer:
    """Await LiveKit's answer. Raises SwitchboardError."""
    try:
        return await request
    except api.ServerError as error:
        code = "not_found" if error.message in GONE_MEANWHILE else error.code
        raise SwitchboardError(f"LiveKit refused: {code}.", livekit_code=code) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise SwitchboardError("LiveKit does not answer; check LIVEKIT_URL.", livekit_code="timeout") from error


async def ask_unless_gone(request: Awaitable[Answer]) -> Answer | None:
    """`ask`, where "there is no such thing" is an answer: None."""
    try:
        return await ask(request)
    except SwitchboardError as error:
        if error.livekit_code == "not_found":
            return None
        raise
