"""The mouth and ear of a SIP phone: one RTP socket, G.711 mu-law, 20 ms packets (RFC 3550, 3551, 4733).

Everything that arrives is kept with the moment of its arrival, so that what the caller heard, and when, is measured
where it matters: on the wire, not in our own processes.
"""

import asyncio
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from telephony.media.g711 import (
    FRAME_SAMPLES,
    FRAME_SECONDS,
    SAMPLE_RATE,
    SILENT_FRAME,
    Samples,
    decode_mulaw,
    encode_mulaw,
)
from telephony.simulator.audio.ear import is_voice

_PCMU, _TELEPHONE_EVENT = 0, 101
_DIGITS = "0123456789*#ABCD"


@dataclass(frozen=True)
class Heard:
    """One packet that arrived: `at` in seconds of the event loop's clock, `timestamp` in samples."""

    at: float
    timestamp: int
    payload: bytes
    loud: bool


@dataclass
class Spoken:
    """When a piece of speech went out: its first and last loud packet, by the event loop's clock."""

    started_at: float = 0.0
    ended_at: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)


class RtpSocket(asyncio.DatagramProtocol):
    """Sends a packet every 20 ms from `connect` on (silence when nothing is queued), hears all."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._remote: tuple[str, int] | None = None
        self._connected = asyncio.Event()
        self._queue: deque[tuple[int, bytes, Spoken | None]] = deque()
        self._transport: asyncio.DatagramTransport | None = None
        self._sequence = 0
        self._timestamp = 0

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def connect(self, host: str, port: int) -> None:
        """From now on packets go there; called once the other side's SDP is known."""
        self._remote = (host, port)
        self._connected.set()

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own datagram transport does not derive from DatagramTransport
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) < 12 or data[1] & 0x7F != _PCMU:
            return
        payload = data[12 + 4 * (data[0] & 0x0F) :]
        timestamp = int.from_bytes(data[4:8], "big")
        self.heard.append(Heard(asyncio.get_running_loop().time(), timestamp, payload, is_voice(payload)))

    def say(self, pcm: Samples) -> Spoken:
        """Queue speech (int16, 8 kHz, mono); `done` is set when its last packet went out."""
        spoken = Spoken()
        padded = np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES))
        for frame in padded.reshape(-1, FRAME_SAMPLES):
            self._queue.append((_PCMU, encode_mulaw(frame.astype(np.int16)), spoken))
        if self._queue:
            kind, payload, _ = self._queue.pop()
            self._queue.append((kind, payload, spoken))
        return spoken

    def press(self, digit: str) -> None:
        """Queue a DTMF digit as an RFC 4733 event of 100 ms."""
        code = _DIGITS.index(digit)
        # Two digits in a row are told apart by when they began: a packet of silence moves the clock between them.
        self._queue.append((_PCMU, SILENT_FRAME, None))
        for step in range(1, 6):
            end = 0x80 if step == 5 else 0
            self._queue.append((_TELEPHONE_EVENT, struct.pack("!BBH", code, end | 10, step * FRAME_SAMPLES), None))

    async def pace(self) -> None:
        """Send for ever, one packet each 20 ms by absolute deadlines; cancel it to stop."""
        loop = asyncio.get_running_loop()
        await self._connected.wait()
        due = loop.time()
        event_started = 0
        while True:
            kind, payload, spoken = self._queue.popleft() if self._queue else (_PCMU, SILENT_FRAME, None)
            if kind == _PCMU:
                event_started = self._timestamp + FRAME_SAMPLES
                self._send(kind, self._timestamp, payload)
            else:
                # all packets of one event carry the timestamp at which it began
                self._send(kind, event_started, payload)
            self._timestamp += FRAME_SAMPLES
            if spoken is not None:
                self._note(spoken, payload, loop.time())
            due += FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - loop.time()))

    def _note(self, spoken: Spoken, payload: bytes, now: float) -> None:
        if is_voice(payload):
            spoken.started_at = spoken.started_at or now
            spoken.ended_at = now + FRAME_SECONDS
        if not self._queue or self._queue[0][2] is not spoken:
            spoken.done.set()

    def _send(self, kind: int, timestamp: int, payload: bytes) -> None:
        assert self._transport is not None
        header = struct.pack("!BBHII", 0x80, kind, self._sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 0x7472756E)
        self._sequence += 1
        self._transport.sendto(header + payload, self._remote)


def heard_pcm(heard: list[Heard]) -> Samples:
    """What arrived as one piece of audio (int16, 8 kHz), each packet where its timestamp says; gaps are silent."""
    if not heard:
        return np.zeros(0, np.int16)
    first = min(packet.timestamp for packet in heard)
    length = max(packet.timestamp - first + len(packet.payload) for packet in heard)
    audio = np.zeros(min(length, SAMPLE_RATE * 3600), np.int16)
    for packet in heard:
        start = packet.timestamp - first
        pcm = decode_mulaw(packet.payload)
        audio[start : start + len(pcm)] = pcm[: max(0, len(audio) - start)]
    return audio
