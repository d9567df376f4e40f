"""From a definition to a running conversation: LiveKit's session, set for the telephone, in the call's room."""

import asyncio
import contextlib
import json
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession
from livekit.agents.voice.room_io import AudioInputOptions, AudioOutputOptions, RoomIO, RoomOptions
from livekit.rtc.participant import PublishDataError

from agents.answering.listening import Hearing, OverheardInput
from agents.conversation_state import ConversationState
from agents.course.ending import Session
from agents.record.recording import Recording
from agents.speech.registry import Providers
from agents.speech.turns import build_turn_handling, build_vad
from app.logs import get_logger
from app.settings import Settings
from app.tasks import Tasks
from telephony.legs import RoomLeg

log = get_logger(__name__)

HEARD_RATE = 16_000
"""What the recognizer, the VAD and the turn detector all take: nobody resamples."""
SPOKEN_RATE = 24_000
FRAME_MS = 32
"""One window of the VAD: whatever is shorter only waits for the rest of it."""
TOOL_STEPS = 5
PLAYOUT_TOPIC = "trunkline.playout"
"""Where the media bridge listens (telephony/media/room_leg.py)."""
CLEAR = json.dumps({"type": "clear"})


@dataclass
class RunningSession:
    """A conversation under way, with the tasks that go on beside it; `close` it."""

    session: Session
    room_io: RoomIO
    providers: Providers
    tasks: Tasks = field(default_factory=lambda: Tasks("a task beside a conversation failed"))

    async def wait_until_heard(self) -> None:
        """Until the person's side takes our audio: at that moment LiveKit SIP answers its INVITE."""
        if self.room_io.subscribed_fut is not None:
            await asyncio.shield(self.room_io.subscribed_fut)

    def keep(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Let `work` go on until the session closes."""
        self.tasks.keep(work, name=name)

    async def close(self) -> None:
        """End the tasks, then the speech in progress: it is stored as interrupted."""
        await self.tasks.close()
        await self.session.aclose()
        await self.room_io.aclose()
        await self.providers.close()


def seat_session(
    room: rtc.Room, state: ConversationState, person: RoomLeg, providers: Providers, settings: Settings
) -> RunningSession:
    """A session that listens to `person`, not started yet; it closes the providers."""
    session = build_session(state, providers)
    room_io = RoomIO(session, room, participant=person.identity, options=build_room_options(settings))
    return RunningSession(session, room_io, providers)


def build_session(state: ConversationState, providers: Providers) -> Session:
    vad = build_vad()
    return AgentSession[ConversationState](
        userdata=state,
        vad=vad,
        stt=providers.build_stt(vad, state.definition.language),
        turn_handling=build_turn_handling(),
        max_tool_steps=TOOL_STEPS,
        # The telephone network cancels echo; three deaf seconds would cost every early interruption.
        aec_warmup_duration=None,
        # agents/course/ending.py asks whoever is silent, and knows about calls not answered yet.
        user_away_timeout=None,
        # Words said over the hanging up: one recognition long.
        session_close_transcript_timeout=0.5,
    )


def build_room_options(settings: Settings) -> RoomOptions:
    return RoomOptions(
        audio_input=AudioInputOptions(
            sample_rate=HEARD_RATE,
            frame_size_ms=FRAME_MS,
            auto_gain_control=False,
            pre_connect_audio=False,
            noise_cancellation=build_noise_cancellation(settings),
        ),
        audio_output=AudioOutputOptions(sample_rate=SPOKEN_RATE),
        # A telephone shows no captions, and keeping them in step with the speech blocks the event loop.
        text_output=False,
        text_input=False,
        # What it means that somebody left is decided in agents/course/ending.py.
        close_on_disconnect=False,
    )


def build_noise_cancellation(settings: Settings) -> rtc.NoiseCancellationOptions | None:
    """A service of LiveKit Cloud; elsewhere there is none. First called on the main thread, where plugins register."""
    if ".livekit.cloud" not in settings.livekit_url:
        return None
    from livekit.plugins import noise_cancellation

    return noise_cancellation.BVCTelephony()


async def start_session(
    running: RunningSession,
    room: rtc.Room,
    state: ConversationState,
    recording: Recording,
    listeners: Sequence[Hearing] = (),
) -> None:
    """Put the active agent into the room. Publishing begins here, and with it a SIP call is answered. `listeners`
    hear what the callee's side sends, before the agent does."""
    session = running.session
    await running.room_io.start()

    def on_silenced() -> None:
        running.keep(tell_silenced(room), name="tell silenced")

    if session.input.audio and session.output.audio:
        session.input.audio = recording.record_input(session.input.audio)
        for listener in listeners:
            session.input.audio = OverheardInput(listener, session.input.audio)
        session.output.audio = recording.record_output(session.output.audio, on_silenced)
    await session.start(state.agents[state.active], record=False, session_host=False)


async def tell_silenced(room: rtc.Room) -> None:
    """Tell the media bridge to drop the speech that it holds: a carrier buffers seconds of it."""
    # A session that closes is silenced too, often after its room.
    if room.isconnected():
        with contextlib.suppress(PublishDataError):
            await room.local_participant.publish_data(CLEAR, topic=PLAYOUT_TOPIC)
