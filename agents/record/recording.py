"""A recording of the call: two channels on one timeline, the person on the left and the agent on the right.

The person is heard when the audio arrives; when the agent's audio was played is reported afterwards, so its samples
go to their place in the file later, behind what the person said meanwhile.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
from livekit import rtc
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities

from agents.record import transcript_store
from agents.record.wav import AGENT, PERSON, SAMPLE_RATE, Piece, Samples, Timeline, WavFile, hash_file, write_pieces
from app.db import Database, DatabaseUnavailable
from app.ids import new_id
from app.logs import get_logger
from telephony.calls import Call, EventKind, record_event

log = get_logger(__name__)

WRITE_EVERY_SECONDS = 1.0


class Recording:
    """Records one call. Owns the file and the task that writes it: `finish` it.

    What ends it early (a full disk, a database that is away) never ends the call; from then on it keeps no audio.
    """

    def __init__(self, db: Database, call: Call, folder: Path) -> None:
        self._db = db
        self._call = call
        self.id: UUID = new_id()
        self.path = Path(str(call.org_id)) / f"{self.id}.wav"
        """Relative to the recordings folder."""
        self._folder = folder
        self._pieces: list[Piece] = []
        self._closing = asyncio.Event()
        self.is_over = False
        self._task = asyncio.create_task(self._record(), name="recording")

    def add(self, piece: Piece) -> None:
        if not self.is_over:
            self._pieces.append(piece)

    def record_input(self, source: AudioInput) -> AudioInput:
        return RecordedInput(self, source)

    def record_output(self, sink: AudioOutput, on_silenced: Callable[[], None]) -> AudioOutput:
        """`on_silenced` is called when the agent is cut off because the person began to speak."""
        return RecordedOutput(self, sink, on_silenced)

    async def finish(self) -> None:
        """Write what is left and close the row; at most ten seconds."""
        self._closing.set()
        try:
            await asyncio.wait_for(self._task, timeout=10)
        except TimeoutError:
            log.error("recording not finished", call_id=str(self._call.id))

    async def _record(self) -> None:
        try:
            await self._write()
        # The outermost loop of this task: whatever it was, it is told and the call goes on.
        except Exception as error:
            expected = isinstance(error, OSError | DatabaseUnavailable)
            log.error("recording stopped", call_id=str(self._call.id), error=str(error), exc_info=not expected)
        finally:
            self.is_over = True
            self._pieces.clear()

    async def _write(self) -> None:
        started_at = time.time()
        file = await asyncio.to_thread(WavFile, self._folder / self.path)
        try:
            await self._store_row(started_at)
            timeline = Timeline(started_at)
            # Once more after the end was called, and once in any case: a call may be over before its row is stored.
            is_last = False
            while not is_last:
                await _wait(self._closing, WRITE_EVERY_SECONDS)
                is_last = self._closing.is_set()
                pieces, self._pieces = self._pieces, []
                await asyncio.to_thread(write_pieces, file, timeline, pieces)
        finally:
            await asyncio.to_thread(file.close)
        digest = await asyncio.to_thread(hash_file, self._folder / self.path)
        await self._close_row(file.frames / SAMPLE_RATE, digest)

    async def _store_row(self, started_at: float) -> None:
        async with self._db.system() as connection:
            await transcript_store.insert_recording(
                connection,
                recording_id=self.id,
                org_id=self._call.org_id,
                call_id=self._call.id,
                path=self.path.as_posix(),
                sample_rate=SAMPLE_RATE,
                started_at=datetime.fromtimestamp(started_at, UTC),
            )

    async def _close_row(self, seconds: float, sha256: str) -> None:
        async with self._db.system() as connection:
            await transcript_store.finish_recording(connection, self.id, seconds, sha256=sha256)
            data = {"recording_id": str(self.id), "duration_seconds": round(seconds, 3)}
            await record_event(connection, self._call.org_id, self._call.id, EventKind.RECORDING_READY, data)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


class RecordedInput(AudioInput):
    """The person's audio on its way to the agent; frames carry no time of their own, so arrival is the clock."""

    def __init__(self, recording: Recording, source: AudioInput) -> None:
        super().__init__(label="Recording", source=source)
        self._recording = recording

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await super().__anext__()
        # A copy: the frame's memory is not ours.
        samples = np.frombuffer(bytes(frame.data), np.int16)
        self._recording.add(Piece(PERSON, time.time() - frame.duration, frame.sample_rate, samples))
        return frame


class RecordedOutput(AudioOutput):
    """The agent's audio on its way to the room: recorded as far as it was played, when it was played."""

    def __init__(self, recording: Recording, sink: AudioOutput, on_silenced: Callable[[], None]) -> None:
        super().__init__(
            label="Recording",
            next_in_chain=sink,
            sample_rate=sink.sample_rate,
            capabilities=AudioOutputCapabilities(pause=True),
        )
        self._recording = recording
        self._on_silenced = on_silenced
        self._captured: list[Samples] = []
        self._rate = SAMPLE_RATE

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        if self.next_in_chain:
            await self.next_in_chain.capture_frame(frame)
        await super().capture_frame(frame)
        self._rate = frame.sample_rate
        self._captured.append(np.frombuffer(bytes(frame.data), np.int16))

    def flush(self) -> None:
        super().flush()
        if self.next_in_chain:
            self.next_in_chain.flush()

    def clear_buffer(self) -> None:
        if self.next_in_chain:
            self.next_in_chain.clear_buffer()
        self._on_silenced()

    def pause(self) -> None:
        super().pause()
        self._on_silenced()

    def on_playback_progressed(self, *, started_at: float, offset: float, duration: float) -> None:
        super().on_playback_progressed(started_at=started_at, offset=offset, duration=duration)
        if self._captured:
            said = np.concatenate(self._captured)
            self._captured = [said]
            played = said[round(offset * self._rate) : round((offset + duration) * self._rate)]
            self._recording.add(Piece(AGENT, started_at, self._rate, played))

    def on_playback_finished(
        self, *, playback_position: float, interrupted: bool, synchronized_transcript: str | None = None
    ) -> None:
        super().on_playback_finished(
            playback_position=playback_position,
            interrupted=interrupted,
            synchronized_transcript=synchronized_transcript,
        )
        self._captured = []
