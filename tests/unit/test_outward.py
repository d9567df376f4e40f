"""What customers may make us call: public https addresses, and those that were checked."""

import asyncio
import gzip
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from app.http.outward import AddressForbidden, NoAnswer, Outward, check_url


@pytest.fixture
async def outward() -> AsyncIterator[Outward]:
    client = Outward()
    yield client
    await client.close()


@pytest.fixture
async def local() -> AsyncIterator[Outward]:
    client = Outward(allow_loopback=True)
    yield client
    await client.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:7f00:1::]/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://[fd00::1]/",
        "https://user:pw@hooks.example/",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "https:///nowhere",
        "https://hooks.example:99999/",
        "https://hooks.example\\@127.0.0.1/",
        "https://hooks.example/\r\nX-Evil: 1",
        "https://hooks.example/" + "a" * 2000,
        "gopher:x",
        "",
    ],
)
def test_what_is_not_a_public_https_address_is_refused_by_its_looks(url: str) -> None:
    with pytest.raises(AddressForbidden) as raised:
        check_url(url)
    assert raised.value.detail


def test_a_public_https_address_is_fine() -> None:
    assert check_url("https://hooks.example:8443/a?b=c").hostname == "hooks.example"


Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def serve(answer: Answering) -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def say(text: bytes) -> Answering:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        await writer.drain()
        writer.close()

    return answer


@pytest.mark.parametrize("name", ["rebound.example", "decimal.example"])
async def test_a_name_that_resolves_to_our_own_network_is_refused_before_anything_is_sent(
    outward: Outward, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    addresses = {"rebound.example": ["93.184.215.14", "127.0.0.1"], "decimal.example": ["10.0.0.7"]}

    async def resolve(host: str, port: int, **_how: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses[host]]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    with pytest.raises(AddressForbidden):
        await outward.post(f"https://{name}/", content=b"{}", headers={})


async def test_loopback_is_called_where_the_installation_allows_it_and_redirects_are_not_followed(
    local: Outward,
) -> None:
    server, port = await serve(say(b"HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n"))
    async with server:
        answer = await local.post(f"http://127.0.0.1:{port}/x", content=b"{}", headers={"a": "b"})
    assert answer.status == 302
    assert not answer.is_success


async def test_an_answer_without_end_is_read_to_a_bound(local: Outward) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        except OSError:
            writer.close()

    server, port = await serve(flood)
    async with server:
        answer = await local.post(f"http://127.0.0.1:{port}/", content=b"{}", headers={})
    assert answer.status == 200
    assert len(answer.body) == 16 * 1024


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
async def test_what_is_compressed_unasked_is_decompressed_to_the_bound_and_no_further(
    local: Outward, compress: Callable[[bytes], bytes]
) -> None:
    name = b"gzip" if compress is gzip.compress else b"deflate"
    bomb = compress(b"x" * 10_000_000)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: %s\r\ncontent-length: %d\r\n\r\n"
    assert len(bomb) < 16 * 1024
    for packed, meant in ((bomb, b"x" * 16 * 1024), (compress(b"hello"), b"hello"), (bomb[:900], None), (b"no", b"")):
        server, port = await serve(say(head % (name, len(packed)) + packed))
        async with server:
            answer = await local.post(f"http://127.0.0.1:{port}/", content=b"{}", headers={})
        assert meant is None or answer.body == meant
        assert answer.is_whole == (meant == b"hello")


async def test_silence_and_refusal_are_no_answer_within_the_time_given(local: Outward) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server, port = await serve(silent)
    async with server:
        with pytest.raises(NoAnswer, match="within"):
            await local.post(f"http://127.0.0.1:{port}/", content=b"{}", headers={}, timeout_seconds=0.2)
    with pytest.raises(NoAnswer):
        await local.post(f"http://127.0.0.1:{port}/", content=b"{}", headers={})
