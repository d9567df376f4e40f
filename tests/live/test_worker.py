"""The worker and a person in a browser: no telephone anywhere, and the same conversation."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from livekit import rtc

from agents.speech.hibari import SAMPLE_RATE as SPOKEN_RATE
from agents.speech.hibari import HibariEngine
from agents.speech.moonshine import SAMPLE_RATE as HEARD_RATE
from agents.speech.moonshine import MoonshineEngine
from app.db import Database
from app.ids import CallId, new_id
from telephony import store
from telephony.calls import Call, Channel, Direction, DispatchMetadata, EndReason, load_call, read_call
from telephony.legs import LegKind
from telephony.switchboard import Switchboard
from tests.live.harness import Stack, wait_for

pytestmark = pytest.mark.live

SILENCE = np.zeros(SPOKEN_RATE // 50, np.int16)


class Browser:
    """A person at a microphone: silence goes out when they do not speak, and what comes in is kept."""

    def __init__(self, voice: HibariEngine) -> None:
        self._voice = voice
        self.room = rtc.Room()
        self.heard: list[np.ndarray] = []
        self._source = rtc.AudioSource(SPOKEN_RATE, 1, queue_size_ms=100)
        self._to_say: asyncio.Queue[np.ndarray] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self.room.on("track_subscribed", self._on_track)

    def _on_track(self, track: rtc.Track, _publication: object, _participant: object) -> None:
        self._tasks.append(asyncio.create_task(self._listen(track)))

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=HEARD_RATE, num_channels=1)
        async for event in stream:
            self.heard.append(np.frombuffer(bytes(event.frame.data), np.int16))

    async def join(self, url: str, token: str) -> None:
        await self.room.connect(url, token)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        await self.room.local_participant.publish_track(
            track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        )
        self._tasks.append(asyncio.create_task(self._speak()))

    async def _speak(self) -> None:
        while True:
            samples = SILENCE if self._to_say.empty() else self._to_say.get_nowait()
            for start in range(0, len(samples), len(SILENCE)):
                piece = samples[start : start + len(SILENCE)]
                await self._source.capture_frame(rtc.AudioFrame(piece.tobytes(), SPOKEN_RATE, 1, len(piece)))

    async def say(self, text: str) -> None:
        self.heard.clear()
        async for pcm in self._voice.say(text):
            self._to_say.put_nowait(np.frombuffer(pcm, np.int16))

    async def hear(self, ears: MoonshineEngine, wanted: str) -> None:
        """Until `wanted` is in what was heard since we last spoke."""

        async def is_heard() -> bool:
            audio = np.concatenate(self.heard or [SILENCE])
            return wanted in (await ears.recognize(audio)).lower()

        await wait_for(is_heard, timeout_seconds=25, what=f"hearing {wanted!r}")

    async def leave(self) -> None:
        await self.room.disconnect()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def open_web_call(db: Database) -> Call:
    """A call of a browser with the example organization's dental team."""
    call_id = CallId(new_id())
    async with db.system() as connection:
        version = await connection.fetchrow(
            "select v.id, v.org_id from team_versions v join teams t on t.id = v.team_id"
            " where t.slug = 'harbor-dental' and v.status = 'published'"
        )
        assert version is not None
        row = await store.insert_call(
            connection,
            call_id=call_id,
            org_id=version["org_id"],
            channel=Channel.WEB,
            direction=Direction.INBOUND,
            status="ringing",
            room_name=f"call-{call_id}",
            carrier=None,
            carrier_call_id=None,
            from_number=None,
            to_number=None,
            number_id=None,
            team_version_id=version["id"],
            attempt_id=None,
            variables={},
        )
    assert row is not None
    return read_call(row)


@asynccontextmanager
async def in_browser(stack: Stack, db: Database, call: Call) -> AsyncGenerator[tuple[Browser, MoonshineEngine]]:
    settings = stack.settings()
    switchboard = await Switchboard.connect(settings)
    voice, ears = HibariEngine(threads=1), MoonshineEngine(transcribers=1)
    browser = Browser(voice)
    try:
        metadata = DispatchMetadata(call_id=call.id)
        token = switchboard.mint_token("web-person", call.room_name, kind=LegKind.WEB, agent=metadata)
        await browser.join(settings.livekit_url, token)
        yield browser, ears
    finally:
        await browser.leave()
        await switchboard.close()
        voice.close()
        ears.close()


async def test_a_browser_gets_the_same_conversation_as_a_telephone(stack: Stack) -> None:
    db = await Database.connect(stack.settings().database_url, max_size=2)
    try:
        call = await open_web_call(db)
        async with in_browser(stack, db, call) as (browser, ears):
            await browser.hear(ears, "harbor dental")
            await browser.say("Can I park there?")
            await browser.hear(ears, "behind the building")
            assert (await load_call(db, call.id)).answered_at is not None

        async def is_over() -> bool:
            return (await load_call(db, call.id)).end is not None

        await wait_for(is_over, what="the end of the call")
        end = (await load_call(db, call.id)).end
        assert end is not None
        assert end.reason is EndReason.CALLER_HUNG_UP
        async with db.system() as connection:
            turns = await connection.fetch(
                "select role, text from turns where call_id = $1 order by started_at", call.id
            )
        assert [turn["role"] for turn in turns] == ["agent", "person", "tool", "agent"]
        assert "park" in turns[1]["text"].lower()
    finally:
        await db.close()
