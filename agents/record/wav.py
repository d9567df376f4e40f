"""A stereo WAV file that is written while its call goes on. Everything here blocks: call it in a thread.

It is complete at every moment: its header is brought up to date with every write, so a killed worker leaves a file
that plays. LiveKit's own recorder writes Ogg through a buffer of 256 KiB and loses a minute then.
"""

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soxr
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
PERSON, AGENT = 0, 1
SLIP_SECONDS = 0.1
"""Arrival jitters: audio that comes within this of where the last one ended is joined to it."""
HEADER_BYTES = 44
FRAME_BYTES = 4
LONGEST_FRAMES = (2**32 - 1 - HEADER_BYTES) // FRAME_BYTES
"""What a WAV header can count: 18 hours."""

Samples = NDArray[np.int16]


@dataclass(frozen=True)
class Piece:
    """Mono 16-bit audio of one channel that began at `started_at` (time.time())."""

    channel: int
    started_at: float
    rate: int
    samples: Samples


class WavFile:
    """A stereo WAV file that takes samples in any order of time. Blocking: call it in a thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("wb+")
        self.frames = 0
        self.sync()

    def place(self, channel: int, frame: int, samples: Samples) -> None:
        """Put samples into a channel from `frame` on; the gap before and the other channel are silence until set."""
        frame, samples = max(frame, 0), samples[max(-frame, 0) :]
        samples = samples[: max(LONGEST_FRAMES - frame, 0)]
        if not len(samples):
            return
        if frame > self.frames:
            self._file.truncate(HEADER_BYTES + frame * FRAME_BYTES)
        self._file.seek(HEADER_BYTES + frame * FRAME_BYTES)
        present = np.frombuffer(self._file.read(len(samples) * FRAME_BYTES), "<i2").reshape(-1, 2)
        both = np.zeros((len(samples), 2), "<i2")
        both[: len(present)] = present
        both[:, channel] = samples
        self._file.seek(HEADER_BYTES + frame * FRAME_BYTES)
        self._file.write(both.tobytes())
        self.frames = max(self.frames, frame + len(samples))

    def sync(self) -> None:
        """Make the file whole: header, then everything to the operating system."""
        self._write_header()
        self._file.flush()

    def close(self) -> None:
        self.sync()
        self._file.close()

    def _write_header(self) -> None:
        data_bytes = self.frames * FRAME_BYTES
        fmt = struct.pack("<IHHIIHH", 16, 1, 2, SAMPLE_RATE, SAMPLE_RATE * FRAME_BYTES, FRAME_BYTES, 16)
        self._file.seek(0)
        self._file.write(struct.pack("<4sI4s", b"RIFF", data_bytes + HEADER_BYTES - 8, b"WAVE"))
        self._file.write(b"fmt " + fmt + struct.pack("<4sI", b"data", data_bytes))


class Timeline:
    """Where each piece belongs in the file, its channel's audio joined over small jitters."""

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._ends: dict[int, float] = {}

    def find_frame(self, piece: Piece) -> int:
        expected = self._ends.get(piece.channel)
        starts = piece.started_at
        if expected is not None and abs(starts - expected) <= SLIP_SECONDS:
            starts = expected
        self._ends[piece.channel] = starts + len(piece.samples) / piece.rate
        return round((starts - self._started_at) * SAMPLE_RATE)


def write_pieces(file: WavFile, timeline: Timeline, pieces: list[Piece]) -> None:
    """Blocking. Runs of one channel are written at once."""
    for run in join_runs(pieces):
        samples = run.samples if run.rate == SAMPLE_RATE else soxr.resample(run.samples, run.rate, SAMPLE_RATE)
        file.place(run.channel, timeline.find_frame(run), samples)
    file.sync()


def join_runs(pieces: list[Piece]) -> list[Piece]:
    """Neighbours of the same channel that follow each other become one piece."""
    runs: list[list[Piece]] = []
    last: dict[int, list[Piece]] = {}
    for piece in pieces:
        run = last.get(piece.channel)
        if run and run[0].rate == piece.rate and abs(_end(run) - piece.started_at) <= SLIP_SECONDS:
            run.append(piece)
        else:
            last[piece.channel] = run = [piece]
            runs.append(run)
    return [
        Piece(run[0].channel, run[0].started_at, run[0].rate, np.concatenate([piece.samples for piece in run]))
        for run in runs
    ]


def _end(run: list[Piece]) -> float:
    return run[0].started_at + sum(len(piece.samples) for piece in run) / run[0].rate


def hash_file(path: Path) -> str:
    """SHA-256 in hexadecimal. Blocking: half a second for an hour of talk."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
