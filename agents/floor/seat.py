"""The operator's leg in the room of a call: that they came and can be heard, that they left, and their voice in the
recording."""

import asyncio
import time

import numpy as np
from livekit import rtc

from agents.record.recording import AGENT, SAMPLE_RATE, Piece, Recording

FRAME_MS = 50


class OperatorSeat:
    """Waits for whoever is called `identity` there. `left` is set once they are gone."""

    def __init__(self, room: rtc.Room, identity: str) -> None:
        self._room = room
        self._identity = identity
        self._track: asyncio.Future[rtc.Track] = asyncio.get_running_loop().create_future()
        self.left = asyncio.Event()
        room.on("track_subscribed", self._on_track)
        room.on("participant_disconnected", self._on_left)
        if participant := room.remote_participants.get(identity):
            for publication in participant.track_publications.values():
                if publication.track is not None:
                    self._on_track(publication.track, publication, participant)

    def _on_track(
        self, track: rtc.Track, _publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        is_theirs = participant.identity == self._identity and track.kind == rtc.TrackKind.KIND_AUDIO
        if is_theirs and not self._track.done():
            self._track.set_result(track)

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._identity:
            self.left.set()

    @property
    def track(self) -> rtc.Track:
        """Their microphone, once they are heard."""
        return self._track.result()

    async def is_heard(self, *, within_seconds: float) -> bool:
        """Whether their microphone is in the room, at once or within the time."""
        await asyncio.wait({self._track}, timeout=within_seconds)
        return self._track.done()

    def close(self) -> None:
        self._room.off("track_subscribed", self._on_track)
        self._room.off("participant_disconnected", self._on_left)


async def record_operator(track: rtc.Track, recording: Recording) -> None:
    """Their voice, where the agent's would be, until the track ends."""
    stream = rtc.AudioStream.from_track(track=track, sample_rate=SAMPLE_RATE, num_channels=1, frame_size_ms=FRAME_MS)
    try:
        async for event in stream:
            # A copy: the frame's memory is not ours.
            samples = np.frombuffer(bytes(event.frame.data), np.int16)
            recording.add(Piece(AGENT, time.time() - event.frame.duration, SAMPLE_RATE, samples))
    finally:
        await stream.aclose()
