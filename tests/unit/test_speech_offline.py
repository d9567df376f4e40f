"""The offline voice and ears, for real: what one says, the other hears."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest
import soxr
from livekit import rtc
from livekit.agents import stt

from agents.speech import hibari, moonshine
from agents.speech.hibari import HibariEngine, HibariTTS, trim_silence
from agents.speech.moonshine import MoonshineEngine, MoonshineSTT

QUESTION = "What are your opening hours on Saturday?"


@pytest.fixture(scope="module")
def voice() -> Iterator[HibariEngine]:
    engine = HibariEngine(threads=2)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def ears() -> Iterator[MoonshineEngine]:
    engine = MoonshineEngine(transcribers=1)
    yield engine
    engine.close()


async def speak(voice: HibariEngine, text: str) -> np.ndarray:
    """16-bit, 16 kHz."""
    pcm = b"".join([piece async for piece in voice.say(text)])
    return np.asarray(soxr.resample(np.frombuffer(pcm, np.int16), hibari.SAMPLE_RATE, moonshine.SAMPLE_RATE), np.int16)


def in_frames(samples: np.ndarray, milliseconds: int = 20) -> Iterator[rtc.AudioFrame]:
    step = moonshine.SAMPLE_RATE * milliseconds // 1000
    for start in range(0, len(samples) - step, step):
        piece = samples[start : start + step]
        yield rtc.AudioFrame(piece.tobytes(), moonshine.SAMPLE_RATE, 1, len(piece))


async def listen(ears: MoonshineEngine, samples: np.ndarray) -> list[stt.SpeechEvent]:
    """Everything that the stream tells of audio that arrives as fast as it can."""
    stream = MoonshineSTT(ears).stream()
    for frame in in_frames(samples):
        stream.push_frame(frame)
    stream.end_input()
    async with asyncio.timeout(60):
        events = [event async for event in stream]
    await stream.aclose()
    return events


def texts(events: list[stt.SpeechEvent], kind: stt.SpeechEventType) -> list[str]:
    return [event.alternatives[0].text for event in events if event.type is kind]


async def test_what_the_voice_says_the_ears_hear(voice: HibariEngine, ears: MoonshineEngine) -> None:
    heard = await ears.recognize(await speak(voice, QUESTION))
    assert heard.lower().rstrip("?.") == QUESTION.lower().rstrip("?")


async def test_a_stream_tells_start_words_and_end_of_each_utterance(voice: HibariEngine, ears: MoonshineEngine) -> None:
    silence = np.zeros(moonshine.SAMPLE_RATE, np.int16)
    audio = [silence, await speak(voice, QUESTION), silence, await speak(voice, "I need an appointment."), silence]
    events = await listen(ears, np.concatenate(audio))
    kinds = [event.type for event in events]
    assert kinds.count(stt.SpeechEventType.START_OF_SPEECH) == kinds.count(stt.SpeechEventType.END_OF_SPEECH) == 2
    first, second = texts(events, stt.SpeechEventType.FINAL_TRANSCRIPT)
    assert "opening hours" in first.lower()
    assert "appointment" in second.lower()


async def test_an_utterance_that_the_audio_cuts_off_is_heard_all_the_same(
    voice: HibariEngine, ears: MoonshineEngine
) -> None:
    speech = await speak(voice, QUESTION)
    events = await listen(ears, speech[: -moonshine.SAMPLE_RATE // 5])
    assert "opening hours" in " ".join(texts(events, stt.SpeechEventType.FINAL_TRANSCRIPT)).lower()


async def test_silence_says_nothing(ears: MoonshineEngine) -> None:
    assert await listen(ears, np.zeros(moonshine.SAMPLE_RATE * 3, np.int16)) == []


@pytest.mark.parametrize("count", [0, 1, 160, 1600])
async def test_audio_too_short_for_a_word_is_no_error(ears: MoonshineEngine, count: int) -> None:
    assert len(await ears.recognize(np.full(count, 5, np.int16))) < 10


async def test_recognitions_at_the_same_time_do_not_mix(voice: HibariEngine) -> None:
    ears = MoonshineEngine(transcribers=2)
    try:
        lines = ["I need an appointment.", "Where are you located?", "I have a question about my bill."]
        audio = [await speak(voice, line) for line in lines]
        heard = await asyncio.gather(*(ears.recognize(samples) for samples in audio * 3))
        for line, words in zip(lines * 3, heard, strict=True):
            assert words.lower().rstrip(".?") == line.lower().rstrip(".?")
    finally:
        ears.close()


async def test_audio_of_another_rate_is_recognized_whole(voice: HibariEngine, ears: MoonshineEngine) -> None:
    pcm = b"".join([piece async for piece in voice.say(QUESTION)])
    frame = rtc.AudioFrame(pcm, hibari.SAMPLE_RATE, 1, len(pcm) // 2)
    event = await MoonshineSTT(ears).recognize([frame])
    assert "opening hours" in event.alternatives[0].text.lower()


async def test_the_voice_speaks_at_once_and_without_empty_seconds(voice: HibariEngine) -> None:
    audio = await speak(voice, "Yes.")
    loud = np.flatnonzero(np.abs(audio) > 300) / moonshine.SAMPLE_RATE
    assert loud[0] < 0.1
    assert len(audio) / moonshine.SAMPLE_RATE - loud[-1] < 0.35


async def test_a_line_said_before_comes_out_of_memory(voice: HibariEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "This is Rosa. How can I help you?"
    first = [piece async for piece in voice.say(line)]
    monkeypatch.setattr(voice, "_synthesize", None)
    assert [piece async for piece in voice.say(line)] == first
    assert len(first) == 2


async def test_memory_is_bounded_and_forgets_the_oldest_line() -> None:
    engine = HibariEngine(threads=1, cache_bytes=200_000)
    try:
        await engine.warm([f"This is line number {number}." for number in range(8)])
        assert engine.kept_bytes <= 200_000
        assert engine.recall("This is line number 7.", 1.0) is not None
        assert engine.recall("This is line number 0.", 1.0) is None
    finally:
        engine.close()


async def test_livekit_gets_a_sentence_as_frames(voice: HibariEngine) -> None:
    speaker = HibariTTS(voice)

    async def collect(text: str) -> AsyncIterator[rtc.AudioFrame]:
        async with speaker.synthesize(text) as stream:
            async for audio in stream:
                yield audio.frame

    frames = [frame async for frame in collect("You can pay by card.")]
    assert sum(frame.duration for frame in frames) > 0.8
    # Nothing to pronounce is no failure.
    assert [frame async for frame in collect("—")]


def test_silence_stays_silence() -> None:
    assert len(trim_silence(np.zeros(24_000, np.float32))) == 0
    assert len(trim_silence(np.zeros(0, np.float32))) == 0
