"""HTTP to addresses that customers name: their webhooks, their checks.

Whoever may name an address must not reach our own network through us: only public addresses, https only, no redirects,
no proxy, and the address that was checked is the one that is connected to (a name may resolve differently the next
moment). Loopback, and plain http to it, only where an installation says so.
"""

import asyncio
import ipaddress
import socket
import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx

from app.errors import InvalidInput, Unavailable

MOST_BYTES_READ = 16 * 1024
LONGEST_URL = 2000

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressForbidden(InvalidInput):
    """The address is not one that we call: not https, or not on the public internet."""

    code = "address_forbidden"
    title = "Not a public address"


class NoAnswer(Unavailable):
    """The far end does not answer in time, refuses, or has no valid certificate."""

    code = "no_answer_from_address"


@dataclass(frozen=True)
class Answer:
    """`body`: as much of it as was to be read, decompressed; `is_whole`: all of it. `milliseconds`: from the request to
    the end of what was read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool
    milliseconds: int

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class Outward:
    """A client for such addresses. Close it; it owns sockets while it asks."""

    def __init__(self, *, allow_loopback: bool = False, verify: ssl.SSLContext | bool = True) -> None:
        self._allow_loopback = allow_loopback
        # No connection is kept: two names on one address must not share a certificate's word.
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=0)
        self._client = httpx.AsyncClient(
            trust_env=False, follow_redirects=False, limits=limits, verify=verify, timeout=60
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def post(
        self,
        url: str,
        *,
        content: bytes,
        headers: Mapping[str, str],
        timeout_seconds: float = 15.0,
        most_bytes: int = MOST_BYTES_READ,
    ) -> Answer:
        """One request, whatever it answers. Raises AddressForbidden and NoAnswer."""
        parts = check_url(url, allow_loopback=self._allow_loopback)
        started = time.monotonic()
        try:
            async with asyncio.timeout(timeout_seconds):
                address = await self._resolve(parts)
                return await self._ask(parts, address, content, headers, started, most_bytes)
        except TimeoutError as error:
            raise NoAnswer(f"No answer within {timeout_seconds:.0f} s.") from error
        except httpx.HTTPError as error:
            raise NoAnswer(f"{type(error).__name__}: {error}"[:300]) from error

    async def _resolve(self, parts: SplitResult) -> Address:
        """One address of the host, all of which must be public."""
        host, port = parts.hostname or "", _port(parts)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NoAnswer(f"The name {host} does not resolve.") from error
        addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
        if not addresses:
            raise NoAnswer(f"The name {host} has no address.")
        for address in addresses:
            _demand_reachable(address, host, allow_loopback=self._allow_loopback)
            if parts.scheme == "http" and not address.is_loopback:
                raise _forbidden("Use an https:// address.")
        return addresses[0]

    async def _ask(
        self,
        parts: SplitResult,
        address: Address,
        content: bytes,
        headers: Mapping[str, str],
        started: float,
        most_bytes: int,
    ) -> Answer:
        host = f"[{address}]" if address.version == 6 else str(address)
        target = parts._replace(netloc=f"{host}:{_port(parts)}", fragment="").geturl()
        extensions: dict[str, Any] = {"sni_hostname": parts.hostname} if parts.scheme == "https" else {}
        sent = {"accept-encoding": "identity", **headers, "host": parts.netloc}
        body = b""
        async with self._client.stream("POST", target, content=content, headers=sent, extensions=extensions) as answer:
            async for part in answer.aiter_raw():
                body += part
                if len(body) > most_bytes:
                    break
        milliseconds = round((time.monotonic() - started) * 1000)
        read, is_whole = _decompress(body, answer.headers.get("content-encoding", ""), most_bytes)
        return Answer(answer.status_code, dict(answer.headers), read, is_whole, milliseconds)


def _decompress(body: bytes, encoding: str, most_bytes: int) -> tuple[bytes, bool]:
    """→ the first bytes of what was meant, and whether they are all. Some far ends compress though they were asked not
    to; what cannot be undone here is nothing that was read. httpx would undo it without a bound."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body[:most_bytes], len(body) <= most_bytes
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return b"", False
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)  # either header
    try:
        read = unpacking.decompress(body, most_bytes)
    except zlib.error:
        return b"", False
    return read, unpacking.eof and not unpacking.unconsumed_tail


def check_url(url: str, *, allow_loopback: bool = False) -> SplitResult:
    """Refuse by its looks what no resolving would make good. Raises AddressForbidden, saying what to do."""
    parts = _split(url)
    host = parts.hostname or ""
    if not host:
        raise _forbidden("The address names no host: write https://host/path.")
    if parts.username is not None or parts.password is not None:
        raise _forbidden("Leave user and password out of the address; requests are signed.")
    literal = _read_literal(host)
    is_local = (literal is not None and literal.is_loopback) or host == "localhost"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local and allow_loopback):
        raise _forbidden("Use an https:// address.")
    if literal is not None:
        _demand_reachable(literal, host, allow_loopback=allow_loopback)
    return parts


def _demand_reachable(address: Address, host: str, *, allow_loopback: bool) -> None:
    """Raises AddressForbidden."""
    for one in (address, *_embedded(address)):
        if one.is_loopback and allow_loopback:
            continue
        if not one.is_global or one.is_multicast:
            raise _forbidden(f"{host} is not on the public internet.")


def _split(url: str) -> SplitResult:
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise _forbidden("Write the address in ASCII, without spaces, in at most 2000 characters.")
    try:
        parts = urlsplit(url)
        _port(parts)
    except ValueError as error:
        raise _forbidden("This is not an address: write https://host/path.") from error
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _read_literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _embedded(address: Address) -> list[Address]:
    """The IPv4 addresses that an IPv6 one stands for: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]


def _forbidden(detail: str) -> AddressForbidden:
    return AddressForbidden(detail, errors=[{"path": "url", "message": detail}])
