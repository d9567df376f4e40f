"""Is a part ready? Each check speaks the part's own protocol and returns once it answers; callers bound the time."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import httpx
import psutil

Check = Callable[[], Awaitable[None]]

INTERVAL_SECONDS = 0.1


async def until(ask: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until it is true; what stands in the way of asking counts as no."""
    while True:
        try:
            async with asyncio.timeout(2):
                if await ask():
                    return
        except (OSError, EOFError, TimeoutError, httpx.HTTPError):
            pass
        await asyncio.sleep(INTERVAL_SECONDS)


def answers_http(url: str) -> Check:
    """GET gives 200."""

    async def check() -> None:
        # Straight to the part: a proxy from the environment knows nothing of our loopback. One client for all the
        # asking, and none of the certificate authorities where there is no TLS: reading them is 30 ms of CPU.
        async with httpx.AsyncClient(trust_env=False, timeout=2, verify=url.startswith("https:")) as client:

            async def ask() -> bool:
                return (await client.get(url)).status_code == 200

            await until(ask)

    return check


def answers_ping(url: str) -> Check:
    """Redis answers PING, after AUTH where the URL carries a password."""
    parts = urlsplit(url)

    async def ask() -> bool:
        reader, writer = await asyncio.open_connection(parts.hostname or "127.0.0.1", parts.port or 6379)
        try:
            if parts.password:
                user = f"{parts.username} " if parts.username else ""
                writer.write(f"AUTH {user}{parts.password}\r\n".encode())
                await reader.readuntil(b"\r\n")
            writer.write(b"PING\r\n")
            return (await reader.readuntil(b"\r\n")).startswith(b"+PONG")
        finally:
            writer.close()

    return lambda: until(ask)


def accepts_tcp(host: str, port: int) -> Check:
    """Something listens there."""

    async def ask() -> bool:
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        return True

    return lambda: until(ask)


def is_in_touch(listening_port: int, other_port: int) -> bool:
    """Whether the process that listens on the first port has a TCP connection to the second.

    True where the system does not tell (macOS, without root).
    """
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return True
    owners = {c.pid for c in connections if c.status == psutil.CONN_LISTEN and _port(c.laddr) == listening_port}
    return any(
        c.pid in owners and c.status == psutil.CONN_ESTABLISHED and _port(c.raddr) == other_port for c in connections
    )


def _port(address: object) -> int | None:
    """psutil gives an empty tuple where there is no address."""
    return getattr(address, "port", None)


class _FirstDatagram(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


def answers_options(port: int) -> Check:
    """A SIP server on loopback answers OPTIONS (RFC 3261, section 11) over UDP with 200."""

    async def ask() -> bool:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(_FirstDatagram, remote_addr=("127.0.0.1", port))
        try:
            own = transport.get_extra_info("sockname")[1]
            transport.sendto(options_request(port, own))
            return (await protocol.answer).startswith(b"SIP/2.0 200")
        finally:
            transport.close()

    return lambda: until(ask)


def options_request(port: int, own_port: int) -> bytes:
    lines = (
        f"OPTIONS sip:127.0.0.1:{port} SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.0.1:{own_port};branch=z9hG4bK{own_port}",
        "Max-Forwards: 1",
        f"From: <sip:health@127.0.0.1:{own_port}>;tag={own_port}",
        f"To: <sip:127.0.0.1:{port}>",
        f"Call-ID: health-{own_port}@127.0.0.1",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
