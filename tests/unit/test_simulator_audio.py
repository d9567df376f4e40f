"""The simulator's ears, mouth and clock: mu-law, speech detection, playout, marks."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telephony.media.g711 import SILENT_FRAME
from telephony.simulator.audio.ear import Ear
from telephony.simulator.audio.line import MAX_BUFFERED_BYTES, Line
from telephony.simulator.audio.voice import NothingToSay, Voice, beep
from telephony.simulator.audio.wav import BadWav, read_wav, save_wav

TONE = beep(440.0, 0.02)
QUIET = SILENT_FRAME


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line()
    clock = asyncio.create_task(line.run())
    yield line
    clock.cancel()


def test_a_wav_file_comes_back_as_it_was(tmp_path: Path) -> None:
    # All codes but the negative zero, which comes back as the positive one
    payload = beep(1000, 0.5) + bytes(range(0x7F)) + bytes(range(0x80, 0x100))
    save_wav(tmp_path / "x.wav", payload)
    assert read_wav(tmp_path / "x.wav") == payload
    with pytest.raises(BadWav):
        read_wav(b"RIFF nonsense")


def hear(pattern: str) -> Ear:
    """`#` a loud frame, `.` a quiet one."""
    ear = Ear()
    for tick, kind in enumerate(pattern):
        ear.feed(tick, TONE if kind == "#" else QUIET)
    return ear


def test_speech_is_stretches_of_loud_frames_that_bridge_short_gaps_and_ignore_clicks() -> None:
    ear = hear("....####.......####............#...........#####")
    assert [(s.start, s.end) for s in ear.stretches] == [(4, 19), (43, 48)]
    assert ear.first_after(5) == ear.stretches[1]
    assert ear.running_at(10) == ear.stretches[0]
    assert ear.running_at(30) is None
    assert ear.heard_since(18) == ear.stretches[1]
    assert ear.heard_since(48) is None


async def test_a_mark_comes_back_when_its_audio_was_played_in_real_time(line: Line) -> None:
    marks: list[tuple[str, int]] = []
    line.on_mark = lambda name: marks.append((name, line.tick))
    started = line.tick
    line.mark("at once")
    line.enqueue(TONE * 10)
    line.mark("after ten frames")
    line.enqueue(TONE[:80])
    line.mark("after half a frame more")
    async with asyncio.timeout(5):
        while len(marks) < 3:
            await line.next_tick()
    assert [name for name, _ in marks] == ["at once", "after ten frames", "after half a frame more"]
    assert [tick - started for _, tick in marks] == [0, 10, 11]


async def test_clear_silences_the_line_and_releases_its_marks(line: Line) -> None:
    marks: list[str] = []
    line.on_mark = marks.append
    line.enqueue(TONE * 500)
    line.mark("end")
    async with asyncio.timeout(5):
        while line.tick < 10:
            await line.next_tick()
        assert line.clear() > 160 * 400
        cleared = line.tick
        assert marks == ["end"]
        while line.tick < cleared + 20:
            await line.next_tick()
    assert line.ear.stretches[-1].end <= cleared
    assert line.heard[cleared * 160 :] == QUIET * (line.tick - cleared)


async def test_a_full_buffer_drops_what_finds_no_room(line: Line) -> None:
    assert line.enqueue(b"\x00" * MAX_BUFFERED_BYTES) == 0
    assert line.enqueue(b"\x00" * 100_000) > 90_000


async def test_both_directions_stay_in_step_and_keep_real_time(line: Line) -> None:
    loop = asyncio.get_running_loop()
    await line.next_tick()
    started, tick = loop.time(), line.tick
    async with asyncio.timeout(5):
        await line.say(TONE * 25)
    elapsed = loop.time() - started
    assert line.tick - tick == 25
    assert elapsed == pytest.approx(0.5, abs=0.15)
    assert len(line.heard) == len(line.spoken) == 160 * line.tick


async def test_a_line_is_synthesized_once_then_read_from_disk(tmp_path: Path) -> None:
    voice = Voice(tmp_path)
    first = await voice.speak("Yes, I confirm.")
    made = written(tmp_path)
    assert await voice.speak("Yes, I confirm.") == first
    assert written(tmp_path) == made
    assert len(made) == 1
    assert 0.5 < len(first) / 8000 < 3
    with pytest.raises(NothingToSay):
        await voice.speak("  ")
    voice.close()


def written(folder: Path) -> dict[str, int]:
    """Each file of a folder with the moment when it was last written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
