"""The recording's file and timeline."""

import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np

from agents.record.wav import AGENT, PERSON, SAMPLE_RATE, Piece, Timeline, WavFile, join_runs, write_pieces


def tone(seconds: float, level: int, rate: int = SAMPLE_RATE) -> np.ndarray:
    return np.full(round(seconds * rate), level, np.int16)


def read(path: Path) -> np.ndarray:
    """(frames, 2), as any player reads it."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, SAMPLE_RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def spans(channel: np.ndarray) -> list[tuple[float, float]]:
    """Where the channel sounds, in seconds."""
    loud = np.flatnonzero(channel)
    if not len(loud):
        return []
    edges = np.flatnonzero(np.diff(loud) > 1)
    starts, ends = [loud[0], *loud[edges + 1]], [*loud[edges], loud[-1]]
    return [(start / SAMPLE_RATE, (end + 1) / SAMPLE_RATE) for start, end in zip(starts, ends, strict=True)]


def test_a_new_file_is_a_playable_empty_recording(tmp_path: Path) -> None:
    file = WavFile(tmp_path / "org" / "call.wav")
    assert len(read(tmp_path / "org" / "call.wav")) == 0
    file.close()


def test_each_side_has_its_channel_and_its_time(tmp_path: Path) -> None:
    file = WavFile(tmp_path / "call.wav")
    write_pieces(file, Timeline(100.0), [Piece(PERSON, 101.0, SAMPLE_RATE, tone(0.5, 1000))])
    # Reported after what the person said meanwhile: it goes to its place all the same.
    write_pieces(file, Timeline(100.0), [Piece(AGENT, 100.25, SAMPLE_RATE, tone(1.0, 2000))])
    file.close()
    audio = read(tmp_path / "call.wav")
    assert spans(audio[:, PERSON]) == [(1.0, 1.5)]
    assert spans(audio[:, AGENT]) == [(0.25, 1.25)]


def test_audio_of_another_rate_keeps_its_length(tmp_path: Path) -> None:
    file = WavFile(tmp_path / "call.wav")
    write_pieces(file, Timeline(0.0), [Piece(AGENT, 1.0, 24_000, tone(2.0, 3000, rate=24_000))])
    file.close()
    [(start, end)] = spans(read(tmp_path / "call.wav")[:, AGENT])
    assert abs(start - 1.0) < 0.01
    assert abs(end - 3.0) < 0.01


def test_frames_that_arrive_unevenly_are_joined_without_gaps(tmp_path: Path) -> None:
    late = [0.0, 0.03, -0.02, 0.01, 0.04]
    timeline, file = Timeline(0.0), WavFile(tmp_path / "call.wav")
    for number, jitter in enumerate(late):
        write_pieces(file, timeline, [Piece(PERSON, 1.0 + number * 0.02 + jitter, SAMPLE_RATE, tone(0.02, 500))])
    file.close()
    assert spans(read(tmp_path / "call.wav")[:, PERSON]) == [(1.0, 1.1)]


def test_a_real_gap_stays_a_gap(tmp_path: Path) -> None:
    file = WavFile(tmp_path / "call.wav")
    pieces = [Piece(PERSON, at, SAMPLE_RATE, tone(0.5, 500)) for at in (1.0, 3.0)]
    write_pieces(file, Timeline(0.0), pieces)
    file.close()
    assert spans(read(tmp_path / "call.wav")[:, PERSON]) == [(1.0, 1.5), (3.0, 3.5)]


def test_what_began_before_the_recording_is_cut_not_moved(tmp_path: Path) -> None:
    file = WavFile(tmp_path / "call.wav")
    write_pieces(file, Timeline(10.0), [Piece(PERSON, 9.5, SAMPLE_RATE, tone(1.0, 500))])
    file.close()
    assert spans(read(tmp_path / "call.wav")[:, PERSON]) == [(0.0, 0.5)]


def test_frames_of_a_second_are_written_as_one_run() -> None:
    frames = [Piece(PERSON, 1.0 + number * 0.02, SAMPLE_RATE, tone(0.02, 1)) for number in range(50)]
    [run] = join_runs(frames)
    assert (run.started_at, len(run.samples)) == (1.0, SAMPLE_RATE)


KILLED = """
import sys, numpy as np
from pathlib import Path
from agents.record.wav import PERSON, Piece, Timeline, WavFile, write_pieces
file, timeline = WavFile(Path(sys.argv[1])), Timeline(0.0)
for second in range(100):
    write_pieces(file, timeline, [Piece(PERSON, float(second), 16000, np.full(16000, 700, np.int16))])
    print(second, flush=True)
"""


def test_a_killed_worker_leaves_a_recording_that_plays(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    written = 0
    while written < 3:
        written = int(process.stdout.readline()) + 1
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    audio = read(path)
    assert len(audio) / SAMPLE_RATE >= written
    assert spans(audio[:, PERSON])[0][0] == 0.0
