"""What the caller hears next, and when it leaves: mixing, pacing, silence, marks and barge-in, without any I/O.

A carrier plays what it gets in the order it comes and buffers the rest, so everything sent ahead is what barge-in
must take back and what the caller hears late. Three rules follow:

- Frames leave when the carrier is at most `LEAD_SECONDS` from running dry, by an absolute clock of what it has still
  to play. A late tick is made up for at once; nothing else is ever sent in a burst.
- Silence is not sent. After `HANGOVER_FRAMES` of it a mark follows, whose echo says that the caller has heard the
  utterance, and the line rests; the next utterance starts with `LEAD_IN_FRAMES` of silence, which are its cushion
  against jitter.
- Live audio is not worth keeping: beyond `LONGEST_QUEUE_FRAMES` the oldest goes, and silence goes first.

Times are seconds of a monotonic clock, always an argument.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from telephony.media.g711 import FRAME_SECONDS, SILENT_FRAME, Samples, encode_mulaw

LEAD_SECONDS = 0.06
TICK_SECONDS = 1e-6
"""How far sums of floats may be off."""
LEAD_IN_FRAMES = 2
HANGOVER_FRAMES = 10
LONGEST_QUEUE_FRAMES = 50
SHED_ABOVE_FRAMES = 5

SILENCE_PEAK = 12
"""16-bit steps: about the smallest that mu-law can tell from nothing."""

SETTLE_FRAMES = 12
QUIET_FRAMES = 2


class Mixer:
    """Adds up the tracks of a room, 20 ms at a time.

    Tracks tick on one clock but arrive apart. A frame is ready when every track has one, or one track has two: so a
    single track is passed on as it comes, and a track that stopped holds the others for 20 ms at most.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[Samples]] = {}

    def add(self, track: Hashable) -> None:
        self._waiting.setdefault(track, deque())

    def remove(self, track: Hashable) -> None:
        self._waiting.pop(track, None)

    def push(self, track: Hashable, frame: Samples) -> list[Samples]:
        """Take one track's next frame; return the mixed frames that are ready now."""
        self.add(track)
        self._waiting[track].append(frame)
        ready: list[Samples] = []
        while self._is_ready():
            ready.append(mix([queue.popleft() for queue in self._waiting.values() if queue]))
        return ready

    def _is_ready(self) -> bool:
        lengths = [len(queue) for queue in self._waiting.values()]
        return bool(lengths) and (min(lengths) >= 1 or max(lengths) >= 2)


def mix(frames: list[Samples]) -> Samples:
    """The clipped sum of frames of equal length."""
    if len(frames) == 1:
        return frames[0]
    total = np.sum(np.stack(frames).astype(np.int32), axis=0)
    return np.clip(total, -32768, 32767).astype(np.int16)


@dataclass(frozen=True)
class Mark:
    """Comes back from the carrier once everything before it has been played, or was cleared."""

    name: str


class Playout:
    """The queue between the room and the carrier. Not thread-safe; owned by one bridge."""

    def __init__(self) -> None:
        self._queue: deque[bytes | Mark] = deque()
        self._played_until = float("-inf")
        self._silent_run = HANGOVER_FRAMES
        self._resting = True
        self._settling = 0
        self._utterances = 0
        self._pending_marks: set[str] = set()
        self._sent_since_clear = False
        self.frames_sent = 0
        self.frames_dropped = 0

    def push(self, frame: Samples) -> None:
        """Queue 20 ms from the room, or leave them out: silence at rest, and what is left of an interrupted voice."""
        silent = is_silent(frame)
        self._silent_run = self._silent_run + 1 if silent else 0
        if self._settling:
            self._settling = 0 if self._silent_run >= QUIET_FRAMES else self._settling - 1
            self.frames_dropped += 1
            return
        if silent:
            self._push_silence()
            return
        if self._resting:
            self._resting = False
            self._queue.extend([SILENT_FRAME] * LEAD_IN_FRAMES)
        self._queue.append(encode_mulaw(frame))
        while len(self._queue) > LONGEST_QUEUE_FRAMES:
            self._queue.popleft()
            self.frames_dropped += 1

    def _push_silence(self) -> None:
        if self._resting:
            return
        if self._silent_run >= HANGOVER_FRAMES:
            self.end_utterance()
        elif len(self._queue) <= SHED_ABOVE_FRAMES:
            self._queue.append(SILENT_FRAME)
        else:
            self.frames_dropped += 1

    def end_utterance(self) -> None:
        """Mark the end of what was queued and rest; no effect at rest."""
        if self._resting:
            return
        self._resting = True
        self._utterances += 1
        self._queue.append(Mark(f"utterance-{self._utterances}"))

    def next_due(self) -> float | None:
        """When to call `take_due` again: minus infinity for at once, None if nothing waits."""
        if not self._queue:
            return None
        if isinstance(self._queue[0], Mark):
            return float("-inf")
        return self._played_until + FRAME_SECONDS - LEAD_SECONDS - TICK_SECONDS

    def take_due(self, now: float) -> list[bytes | Mark]:
        """Everything to send at `now`, in order: mu-law frames of 20 ms, and marks."""
        due: list[bytes | Mark] = []
        while (at := self.next_due()) is not None and at <= now:
            item = self._queue.popleft()
            due.append(item)
            if isinstance(item, Mark):
                self._pending_marks.add(item.name)
                continue
            # Behind `now` the carrier has run dry: what it plays next starts now.
            self._played_until = max(self._played_until, now) + FRAME_SECONDS
            self._sent_since_clear = True
            self.frames_sent += 1
        return due

    def clear(self, now: float) -> bool:
        """Barge-in: forget what is queued, and take what is left of that voice in the room's pipes for old.

        True if the carrier is to be told `clear`: it got audio since the last one, and only it knows how much of that
        is played. An agent says so many times a second while it is spoken over.
        """
        self.frames_dropped += sum(not isinstance(item, Mark) for item in self._queue)
        self._queue.clear()
        self._played_until = min(self._played_until, now)
        if not self._resting:
            self._resting = True
            # The room's jitter buffer still holds up to some 200 ms of the interrupted voice.
            self._settling = 0 if self._silent_run >= QUIET_FRAMES else SETTLE_FRAMES
        unclear, self._sent_since_clear = self._sent_since_clear, False
        return unclear

    def note_mark(self, name: str) -> bool:
        """The carrier echoed a mark; False for one that is not ours or came twice."""
        known = name in self._pending_marks
        self._pending_marks.discard(name)
        return known

    @property
    def is_played_out(self) -> bool:
        """Nothing queued, and every utterance that was sent has been heard."""
        return not self._queue and not self._pending_marks


def is_silent(frame: Samples) -> bool:
    return bool(np.abs(frame.astype(np.int32)).max(initial=0) <= SILENCE_PEAK)
