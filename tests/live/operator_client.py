"""A person who takes calls, as their program would be one: beats over HTTP, joins the room with the key, and has a
mouth and ears there."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from livekit import rtc

from app.console.operators import follow
from telephony.media.g711 import SAMPLE_RATE, Samples
from tests.live.harness import wait_for

FRAME = SAMPLE_RATE // 50


@dataclass
class Operator:
    """One of the organization's operators, present while `present` lasts. `states`: all that they were told of, in
    order; `now`: the latest answer to a beat."""

    api: httpx.AsyncClient
    now: dict[str, Any]
    states: list[str] = field(default_factory=list)

    async def keep_beating(self) -> None:
        async for now in follow(self.api, self.now):
            self.now = now
            self.states.append(now["state"])

    async def change(self, state: str) -> None:
        answer = await self.api.patch(f"/operators/{self.now['id']}", json={"state": state})
        self.now = answer.raise_for_status().json()

    async def until(self, state: str, *, timeout_seconds: float = 20) -> dict[str, Any]:
        """Wait to be told of that state; the call that was theirs then."""

        async def told() -> dict[str, Any] | None:
            return self.now if self.now["state"] == state else None

        return await wait_for(told, timeout_seconds=timeout_seconds, what=f"the operator's state {state}")


@asynccontextmanager
async def present(api: httpx.AsyncClient, name: str, campaign_id: str) -> AsyncGenerator[Operator]:
    """An operator of that campaign, available; offline afterwards unless a call is still theirs."""
    body = {"name": name, "campaigns": [campaign_id], "wrap_up_seconds": 60}
    operator = Operator(api, (await api.post("/operators", json=body)).raise_for_status().json())
    await operator.change("available")
    beating = asyncio.create_task(operator.keep_beating())
    try:
        yield operator
    finally:
        beating.cancel()
        await asyncio.wait([beating])
        await api.patch(f"/operators/{operator.now['id']}", json={"state": "offline"})


class Headset:
    """In the room of their call: speaks into its microphone, and keeps what the callee's side sends."""

    def __init__(self) -> None:
        self._room = rtc.Room()
        self._source = rtc.AudioSource(SAMPLE_RATE, 1)
        self._listening: list[asyncio.Task[None]] = []
        self._heard: list[Samples] = []

    async def enter(self, key: dict[str, str]) -> None:
        self._room.on("track_subscribed", self._on_track)
        await self._room.connect(key["url"], key["token"])
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self._room.local_participant.publish_track(track, options)

    def _on_track(
        self, track: rtc.Track, _publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if participant.kind != rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            self._listening.append(asyncio.create_task(self._listen(track)))

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream.from_track(track=track, sample_rate=SAMPLE_RATE, num_channels=1)
        try:
            async for event in stream:
                self._heard.append(np.frombuffer(bytes(event.frame.data), np.int16))
        finally:
            await stream.aclose()

    @property
    def heard(self) -> Samples:
        return np.concatenate(self._heard) if self._heard else np.zeros(0, np.int16)

    async def say(self, samples: Samples) -> None:
        """To the end."""
        for at in range(0, len(samples) - FRAME + 1, FRAME):
            frame = rtc.AudioFrame(samples[at : at + FRAME].tobytes(), SAMPLE_RATE, 1, FRAME)
            await self._source.capture_frame(frame)
        await self._source.wait_for_playout()

    async def leave(self) -> None:
        await self._room.disconnect()
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)
        await self._source.aclose()
