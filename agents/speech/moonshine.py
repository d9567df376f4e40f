"""Hearing without a key: Moonshine's tiny English model, whose weights are in its wheel (moonshine-voice 0.1.0).

Whole utterances are recognized (about 0.03 s for each second of speech); the first try starts at the first short
pause, so that the words are mostly there when the utterance is over. Moonshine's own streaming gives its finals
0.2 to 0.5 s after the pause and is not used.
"""

import asyncio
import os
import queue
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import moonshine_voice
import numpy as np
from livekit import local_inference, rtc
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectionError,
    APIConnectOptions,
    LanguageCode,
    NotGivenOr,
    stt,
    utils,
)
from moonshine_voice.errors import MoonshineError
from moonshine_voice.moonshine_api import ModelArch
from moonshine_voice.transcriber import Transcriber
from numpy.typing import NDArray

from agents.speech.utterances import WINDOW_SECONDS, Signal, Utterance

SAMPLE_RATE = 16_000
LANGUAGE = LanguageCode("en")
LEAD_IN_WINDOWS = 10
"""Kept from before an utterance (0.32 s): the VAD knows of a word only once it has begun."""
PARTIAL_EVERY_SECONDS = 3.0
RECOGNIZE_TIMEOUT_SECONDS = 15.0
SHORTEST_SAMPLES = SAMPLE_RATE // 2
"""The model fails on less than some tenths of a second."""

Samples = NDArray[np.int16]


def load_transcriber() -> Transcriber:
    model = Path(moonshine_voice.__file__).parent / "assets" / "tiny-en"
    # We cut the utterances ourselves, so its own VAD would only lose first and last sounds.
    options = {"vad_threshold": "0.0", "return_audio_data": "false", "identify_speakers": "false"}
    return Transcriber(model, ModelArch.TINY, options=options)


class MoonshineEngine:
    """The loaded models and the threads that run them; one for a process, shared by its calls. Close it.

    A transcriber answers out of memory that its next request reuses, so each works for one request at a time.
    """

    def __init__(self, transcribers: int | None = None) -> None:
        # One recognition keeps two cores busy.
        count = transcribers or max(1, (os.cpu_count() or 2) // 2)
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="moonshine")
        self._idle: queue.SimpleQueue[Transcriber] = queue.SimpleQueue()
        for _ in range(count):
            self._idle.put(load_transcriber())
        self._recognize(np.zeros(SAMPLE_RATE, np.int16))

    @property
    def busy(self) -> bool:
        """Nobody is free at once: leave out what is only nice to have."""
        return self._idle.empty()

    async def recognize(self, samples: Samples) -> str:
        """The words in `samples` (16 kHz mono), or "". Raises APIConnectionError if the engine fails or hangs."""
        work = asyncio.get_running_loop().run_in_executor(self._pool, self._recognize, samples)
        try:
            return await asyncio.wait_for(work, RECOGNIZE_TIMEOUT_SECONDS)
        except (MoonshineError, TimeoutError) as error:
            raise APIConnectionError("speech recognition failed") from error

    def _recognize(self, samples: Samples) -> str:
        if not len(samples):
            return ""
        padded = np.pad(samples, (0, max(0, SHORTEST_SAMPLES - len(samples))))
        transcriber = self._idle.get()
        try:
            loudness = (padded.astype(np.float32) / 32768.0).tolist()
            lines = transcriber.transcribe_without_streaming(loudness, SAMPLE_RATE).lines
            return " ".join(line.text.strip() for line in lines if line.text.strip())
        finally:
            self._idle.put(transcriber)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        while not self._idle.empty():
            self._idle.get().close()


class MoonshineSTT(stt.STT[Any]):
    """LiveKit's view of the engine; cheap, one a call."""

    def __init__(self, engine: MoonshineEngine) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self.engine = engine

    @property
    def model(self) -> str:
        return "moonshine-tiny-en"

    @property
    def provider(self) -> str:
        return "moonshine"

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        frame = rtc.combine_audio_frames(buffer)
        resampler = rtc.AudioResampler(frame.sample_rate, SAMPLE_RATE, num_channels=frame.num_channels)
        pieces = [*resampler.push(frame), *resampler.flush()] if frame.sample_rate != SAMPLE_RATE else [frame]
        samples = np.concatenate([read_mono(piece) for piece in pieces]) if pieces else np.zeros(0, np.int16)
        return say_heard(stt.SpeechEventType.FINAL_TRANSCRIPT, await self.engine.recognize(samples))

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        return MoonshineStream(self, conn_options)


def read_mono(frame: rtc.AudioFrame) -> Samples:
    samples = np.frombuffer(frame.data, np.int16)
    return samples if frame.num_channels == 1 else samples[:: frame.num_channels]


def say_heard(kind: stt.SpeechEventType, text: str) -> stt.SpeechEvent:
    return stt.SpeechEvent(kind, alternatives=[stt.SpeechData(LANGUAGE, text)] if text else [])


class MoonshineStream(stt.RecognizeStream):
    """Cuts the audio of one call into utterances and has them recognized.

    The VAD runs inline: a window costs it 0.02 ms, far less than handing it to a thread would.
    """

    def __init__(self, owner: MoonshineSTT, conn_options: APIConnectOptions) -> None:
        super().__init__(stt=owner, conn_options=conn_options, sample_rate=SAMPLE_RATE)
        self._engine = owner.engine
        self._vad = local_inference.VAD()
        self._utterance = Utterance()
        self._lead_in: deque[Samples] = deque(maxlen=LEAD_IN_WINDOWS)
        self._windows: list[Samples] = []
        self._early: asyncio.Task[str] | None = None
        self._partials: set[asyncio.Task[str]] = set()
        self._next_partial = PARTIAL_EVERY_SECONDS

    async def _run(self) -> None:
        rest = np.zeros(0, np.int16)
        try:
            async for item in self._input_ch:
                if isinstance(item, self._FlushSentinel):
                    await self._finish()
                    continue
                rest = np.concatenate([rest, read_mono(item)])
                while len(rest) >= local_inference.VAD_WINDOW_SAMPLES:
                    window, rest = (
                        rest[: local_inference.VAD_WINDOW_SAMPLES],
                        rest[local_inference.VAD_WINDOW_SAMPLES :],
                    )
                    await self._hear(window)
            await self._finish()
        finally:
            await self._drop_early()
            await utils.aio.cancel_and_wait(*self._partials)

    async def _hear(self, window: Samples) -> None:
        signal = self._utterance.push(self._vad.predict(window))
        (self._windows if self._windows else self._lead_in).append(window)
        if signal is Signal.STARTED:
            self._windows = list(self._lead_in)
            self._lead_in.clear()
            self._next_partial = PARTIAL_EVERY_SECONDS
            self._event_ch.send_nowait(stt.SpeechEvent(stt.SpeechEventType.START_OF_SPEECH))
        elif signal is Signal.PAUSED:
            await self._start_early()
        elif signal is Signal.RESUMED:
            self._tell_early()
        elif signal in (Signal.ENDED, Signal.CUT):
            await self._finish(ended=signal is Signal.ENDED)
        elif self._utterance.speaking and self._utterance.seconds >= self._next_partial and not self._engine.busy:
            self._next_partial = self._utterance.seconds + PARTIAL_EVERY_SECONDS
            await self._start_early()
            self._tell_early()

    async def _start_early(self) -> None:
        await self._drop_early()
        samples = np.concatenate(self._windows)
        self._early = asyncio.create_task(self._engine.recognize(samples), name="recognize early")
        self._early.add_done_callback(self._send_preflight)

    def _send_preflight(self, task: asyncio.Task[str]) -> None:
        """Still silent: these will most likely be the words, so the model may begin to think."""
        if task is self._early and not task.cancelled() and task.exception() is None and task.result():
            self._event_ch.send_nowait(say_heard(stt.SpeechEventType.PREFLIGHT_TRANSCRIPT, task.result()))

    def _tell_early(self) -> None:
        """The speaker goes on: what the early try hears is only a partial, as soon as it is there."""
        task, self._early = self._early, None
        if task is not None:
            self._partials.add(task)
            task.add_done_callback(self._send_partial)

    def _send_partial(self, task: asyncio.Task[str]) -> None:
        self._partials.discard(task)
        if task.cancelled() or task.exception() is not None or self._event_ch.closed:
            return
        if self._utterance.speaking and task.result():
            self._event_ch.send_nowait(say_heard(stt.SpeechEventType.INTERIM_TRANSCRIPT, task.result()))

    async def _drop_early(self) -> None:
        if self._early is not None:
            task, self._early = self._early, None
            await utils.aio.cancel_and_wait(task)

    async def _finish(self, *, ended: bool = True) -> None:
        """Recognize what was said, unless the early try has done so: nothing but silence came after it."""
        windows, self._windows = self._windows, []
        if not windows:
            return
        task, self._early = self._early, None
        text = await (task if task is not None else self._engine.recognize(np.concatenate(windows)))
        if text:
            self._event_ch.send_nowait(say_heard(stt.SpeechEventType.FINAL_TRANSCRIPT, text))
        usage = stt.RecognitionUsage(audio_duration=len(windows) * WINDOW_SECONDS)
        self._event_ch.send_nowait(stt.SpeechEvent(stt.SpeechEventType.RECOGNITION_USAGE, recognition_usage=usage))
        if ended:
            self._utterance.reset()
            self._event_ch.send_nowait(stt.SpeechEvent(stt.SpeechEventType.END_OF_SPEECH))
        else:
            self._windows = windows[-1:]
