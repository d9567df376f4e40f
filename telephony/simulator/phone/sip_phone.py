"""A SIP phone for tests, benchmarks and the demo: sipp does the signaling, `RtpSocket` speaks and listens."""

import asyncio
import re
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from app.errors import Unavailable
from telephony.media.g711 import Samples
from telephony.simulator.phone.rtp import Heard, RtpSocket, Spoken, heard_pcm

SCENARIO = Path(__file__).with_name("caller.xml")
_STAMP = re.compile(r"^-{5,} (\d{4}-\d\d-\d\d)[T\t ](\d\d:\d\d:\d\d\.\d+)", re.M)


class PhoneUnavailable(Unavailable):
    """sipp is not installed, or did not start."""

    code = "phone_unavailable"


class NobodySpoke(TimeoutError):
    """The other side did not say anything (more) in time."""


@dataclass(frozen=True)
class Reply:
    """A stretch of speech that was heard: first and last loud packet, in seconds of the event loop's clock."""

    started_at: float
    ended_at: float


class SipCall:
    """One call of the phone. Times are seconds of the event loop's clock; `refused_with` is the final SIP error."""

    def __init__(self, rtp: RtpSocket, trace: Path, local_port: int, call_id: str) -> None:
        self.rtp = rtp
        self.invited_at: float | None = None
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self.refused_with: int | None = None
        self._trace = trace
        self._local_port = local_port
        self._call_id = call_id
        # sipp stamps its trace with the wall clock
        self._answered = asyncio.Event()
        self._over = asyncio.Event()
        self._wall_offset = asyncio.get_running_loop().time() - time.time()

    async def wait_answered(self, timeout_seconds: float = 10) -> float:
        """Return when the call was answered. Raises TimeoutError, or ConnectionRefusedError with the SIP status."""
        async with asyncio.timeout(timeout_seconds):
            await self._answered.wait()
        if self.answered_at is None:
            raise ConnectionRefusedError(f"SIP {self.refused_with}")
        return self.answered_at

    async def wait_over(self, timeout_seconds: float) -> None:
        """Return when the call was refused, or ended by either side. Raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds):
            await self._over.wait()

    async def say(self, pcm: Samples) -> Spoken:
        """Speak (int16, 8 kHz) to the end."""
        spoken = self.rtp.say(pcm)
        await spoken.done.wait()
        return spoken

    async def hear_reply(self, after: float, *, quiet_seconds: float = 0.9, timeout_seconds: float = 15) -> Reply:
        """Wait for speech that begins after `after` and has ended for `quiet_seconds`. Raises NobodySpoke."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + timeout_seconds
        while loop.time() < give_up:
            loud = [packet.at for packet in self.rtp.heard if packet.loud and packet.at > after]
            if loud and loop.time() - loud[-1] >= quiet_seconds:
                return Reply(loud[0], loud[-1])
            if self.ended_at is not None and loud:
                return Reply(loud[0], loud[-1])
            if self.ended_at is not None and loop.time() - self.ended_at > 1:
                break
            await asyncio.sleep(0.02)
        raise NobodySpoke(f"no speech within {timeout_seconds} s")

    def heard_between(self, start: float, end: float) -> Samples:
        return heard_pcm([packet for packet in self.rtp.heard if start <= packet.at <= end])

    def first_loud_after(self, moment: float) -> float | None:
        return next((packet.at for packet in self.rtp.heard if packet.at > moment and packet.loud), None)

    def last_loud_before(self, moment: float) -> float | None:
        return next((packet.at for packet in reversed(self.rtp.heard) if packet.at <= moment and packet.loud), None)

    def packets(self) -> list[Heard]:
        return self.rtp.heard

    async def hang_up(self) -> None:
        """Make sipp send BYE: a MESSAGE of the same Call-ID is its scenario's cue."""
        if self.ended_at is not None:
            return
        cue = (
            f"MESSAGE sip:phone@127.0.0.1:{self._local_port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{uuid4().hex}\r\n"
            f"From: <sip:cue@127.0.0.1>;tag=cue\r\nTo: <sip:phone@127.0.0.1>\r\n"
            f"Call-ID: {self._call_id}\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 1\r\nContent-Length: 0\r\n\r\n"
        )
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", self._local_port)
        )
        for _ in range(3):
            transport.sendto(cue.encode())
            with suppress(TimeoutError):
                await self.wait_over(1)
                break
        transport.close()

    async def follow_trace(self) -> None:
        """Read sipp's message trace as it grows; cancel it to stop."""
        while True:
            if self._trace.exists():
                self._read(self._trace.read_text(errors="replace"))
            await asyncio.sleep(0.02)

    def _read(self, trace: str) -> None:
        stamps = list(_STAMP.finditer(trace))
        for index, stamp in enumerate(stamps):
            end = stamps[index + 1].start() if index + 1 < len(stamps) else len(trace)
            when = datetime.fromisoformat(f"{stamp[1]}T{stamp[2][:15]}").astimezone().timestamp()
            self._note(trace[stamp.end() : end], when + self._wall_offset)

    def _note(self, message: str, at: float) -> None:
        received = "received" in message.split("\n", 2)[1] if message.count("\n") > 1 else False
        status = re.search(r"^SIP/2\.0 (\d{3})", message, re.M)
        if message.find("\nINVITE ") > 0 and self.invited_at is None:
            self.invited_at = at
        if message.find("\nBYE ") > 0:
            self.ended_at = self.ended_at or at
            self._over.set()
        elif received and status and "CSeq: 1 INVITE" in message:
            code = int(status[1])
            if code == 200 and self.answered_at is None:
                media = re.search(r"^m=audio (\d+) ", message, re.M)
                if media:
                    self.answered_at = at
                    self.rtp.connect("127.0.0.1", int(media[1]))
                    self._answered.set()
            elif code >= 300:
                self.refused_with = self.refused_with or code
                self._answered.set()
                self._over.set()


@asynccontextmanager
async def place_sip_call(
    host: str, port: int, number: str, *, caller: str = "+12025550190", source: str = "127.0.0.1"
) -> AsyncGenerator[SipCall]:
    """Call `number` at a SIP server on loopback; leaving the block hangs up and ends sipp.

    Raises PhoneUnavailable when sipp is missing.
    """
    sipp = shutil.which("sipp")
    if sipp is None:
        raise PhoneUnavailable("sipp is not installed: apt-get install -y sip-tester")
    rtp = RtpSocket()
    await rtp.open()
    with tempfile.TemporaryDirectory(prefix="trunkline-phone-") as folder:
        trace = Path(folder) / "messages.log"
        local_port, call_id = _free_udp_port(source), f"{uuid4().hex}@phone"
        process = await asyncio.create_subprocess_exec(
            *(sipp, f"{host}:{port}", "-sf", str(SCENARIO), "-s", number, "-i", source, "-p", str(local_port)),
            *("-m", "1", "-l", "1", "-nostdin", "-cid_str", call_id, "-timeout", "600s"),
            *("-key", "media_socket", str(rtp.port), "-key", "caller", caller),
            *("-trace_msg", "-message_file", str(trace), "-message_overwrite", "false"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=folder,
        )
        call = SipCall(rtp, trace, local_port, call_id)
        tasks = [asyncio.create_task(call.follow_trace()), asyncio.create_task(rtp.pace())]
        try:
            yield call
        finally:
            if call.answered_at is not None:
                await call.hang_up()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            rtp.close()
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _free_udp_port(host: str) -> int:
    """A port for sipp, which cannot be told to choose one and say which."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
