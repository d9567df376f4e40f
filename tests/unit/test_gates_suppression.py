"""Who is asked right before a dial may veto it, and their silence is answered as the campaign says."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from app.clock import Clock, utc_now
from app.http.outward import Outward
from app.ids import E164, CampaignId, ContactId, OrgId, new_id
from campaigns.gates.gates import Candidate, Gate, Verdict
from campaigns.gates.policy import Policy, SuppressionRule
from campaigns.gates.suppression import SuppressionClient, signing_secret
from campaigns.rules.calling.caps import CapsRule
from campaigns.rules.calling.consent import ConsentRule
from campaigns.rules.calling.schedule import CallingRule, Schedule

KEY = SecretStr("the installation's key")
ORG, CAMPAIGN = OrgId(new_id()), CampaignId(new_id())
NOW = datetime.now(UTC)

Answering = Callable[[dict[str, str], bytes], Awaitable[tuple[int, bytes] | tuple[int, bytes, str]]]
"""→ status, body, and what it is compressed with."""


@asynccontextmanager
async def far_end(answer: Answering) -> AsyncIterator[str]:
    """Somebody on loopback who answers each request; their address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head)}
        status, body, *encoding = await answer(headers, await reader.readexactly(int(headers["content-length"])))
        lines = [f"HTTP/1.1 {status} x", f"content-length: {len(body)}", *(f"content-encoding: {e}" for e in encoding)]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/check"
    finally:
        server.close()


def policy(url: str | None, **rule: Any) -> Policy:
    return Policy(
        org_id=ORG,
        campaign_id=CAMPAIGN,
        campaign_name="Recall",
        status="running",
        starts_at=None,
        deadline_at=None,
        org_country="US",
        schedule=Schedule.read(CallingRule()),
        caps=CapsRule(),
        consent=ConsentRule(),
        suppression=SuppressionRule(url=url, **rule),
    )


def candidates(count: int) -> list[Candidate]:
    return [Candidate(ContactId(new_id()), ORG, CAMPAIGN, E164(f"+1202555{n:04d}")) for n in range(count)]


async def ask(
    rules: Policy, asked: list[Candidate], key: SecretStr = KEY, *, clock: Clock = lambda: NOW
) -> dict[ContactId, Verdict]:
    outward = Outward(allow_loopback=True)
    try:
        return await SuppressionClient(outward, key, clock=clock).ask(rules, asked)
    finally:
        await outward.close()


async def test_a_veto_stops_its_contact_for_good_or_for_a_while_and_nobody_else() -> None:
    later = NOW + timedelta(days=2)
    for_good, a_while, over, free = asked = candidates(4)

    async def answer(headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        vetoes = [
            {"contact_id": str(for_good.contact_id), "reason": "a litigator"},
            {"contact_id": str(a_while.contact_id), "reason": "on holiday", "until": later.isoformat()},
            {"contact_id": str(over.contact_id), "until": (NOW - timedelta(days=1)).isoformat()},
            {"contact_id": str(new_id()), "reason": "somebody else"},
        ]
        return 200, json.dumps({"vetoes": vetoes, "more": "ignored"}).encode()

    async with far_end(answer) as url:
        said = await ask(policy(url), asked)
    assert {verdict.gate for verdict in said.values()} == {Gate.SUPPRESSION}
    assert (said[for_good.contact_id].passed, said[for_good.contact_id].next_at) == (False, None)
    assert "a litigator" in said[for_good.contact_id].reason
    assert (said[a_while.contact_id].passed, said[a_while.contact_id].next_at) == (False, later)
    assert said[over.contact_id].passed
    assert said[free.contact_id].passed


async def test_what_is_asked_is_signed_and_names_the_contacts_a_hundred_at_a_time() -> None:
    asked = candidates(250)
    seen: list[str] = []

    async def answer(headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        document = Webhook(signing_secret(KEY, ORG)).verify(body, headers)
        assert document["type"] == "suppression.check"
        assert document["data"]["campaign_id"] == str(CAMPAIGN)
        assert len(document["data"]["contacts"]) <= 100
        seen.extend(contact["phone"] for contact in document["data"]["contacts"])
        return 200, b'{"vetoes": []}'

    async with far_end(answer) as url:
        said = await ask(policy(url), asked, clock=utc_now)
    assert sorted(seen) == sorted(one.phone for one in asked)
    assert all(said[one.contact_id].passed for one in asked)


async def veto_all(asked: list[Candidate], *, compress: Callable[[bytes], bytes] | None, encoding: str) -> set[bool]:
    """Whether those asked for passed, where every one is vetoed with the longest reason, all of it escaped."""

    async def answer(headers: dict[str, str], body: bytes) -> tuple[int, bytes, str]:
        assert headers["accept-encoding"] == "identity"
        contacts = json.loads(body)["data"]["contacts"]
        vetoes = [{"contact_id": one["contact_id"], "reason": "\N{SNOWMAN}" * 500} for one in contacts]
        said = json.dumps({"vetoes": vetoes}).encode()
        return 200, compress(said) if compress else said, encoding

    async with far_end(answer) as url:
        said = await ask(policy(url, on_failure="allow"), asked)
    return {said[one.contact_id].passed for one in asked}


@pytest.mark.parametrize(
    ("compress", "encoding"),
    [(None, "identity"), (gzip.compress, "gzip"), (zlib.compress, "deflate")],
    ids=["plain", "gzip", "deflate"],
)
async def test_a_hundred_vetoes_with_long_reasons_all_hold_compressed_or_not(
    compress: Callable[[bytes], bytes] | None, encoding: str
) -> None:
    assert await veto_all(candidates(100), compress=compress, encoding=encoding) == {False}


async def test_a_compression_that_was_not_asked_for_and_is_not_known_is_no_answer() -> None:
    assert await veto_all(candidates(3), compress=None, encoding="br") == {True}  # as `on_failure: allow` says


async def test_what_does_not_matter_in_a_veto_does_not_undo_it() -> None:
    long, empty, naive, far = asked = candidates(4)

    async def answer(headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        vetoes = [
            {"contact_id": str(long.contact_id), "reason": "x" * 10_000},
            {"contact_id": str(empty.contact_id), "reason": None},
            {"contact_id": str(naive.contact_id), "until": "2999-12-01T00:00:00"},
            {"contact_id": str(far.contact_id), "until": "9999-12-31T23:59:59Z"},
        ]
        return 200, json.dumps({"vetoes": vetoes}).encode()

    async with far_end(answer) as url:
        said = await ask(policy(url, on_failure="allow"), asked)
    assert [said[one.contact_id].passed for one in asked] == [False] * 4
    assert said[naive.contact_id].next_at == datetime(2999, 12, 1, tzinfo=UTC)
    assert said[far.contact_id].next_at is None


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b""), (200, b"yes"), (200, b"{}"), (200, b'{"vetoes": [{"contact_id": 7}]}'), (302, b'{"vetoes": []}')],
    ids=["server error", "no JSON", "no vetoes", "no contact", "redirect"],
)
async def test_an_answer_that_cannot_be_used_is_none(status: int, body: bytes) -> None:
    async def answer(headers: dict[str, str], asked: bytes) -> tuple[int, bytes]:
        return status, body

    async with far_end(answer) as url:
        [blocked] = (await ask(policy(url), candidates(1))).values()
        [allowed] = (await ask(policy(url, on_failure="allow"), candidates(1))).values()
    assert (blocked.passed, blocked.next_at) == (False, NOW + timedelta(seconds=60))
    assert allowed.passed


async def test_silence_is_waited_for_as_long_as_the_campaign_says() -> None:
    gone = asyncio.Event()

    async def answer(headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        await gone.wait()
        return 200, b""

    async with far_end(answer) as url:
        started = asyncio.get_running_loop().time()
        [verdict] = (await ask(policy(url, timeout_seconds=0.2), candidates(1))).values()
        assert asyncio.get_running_loop().time() - started < 1.5
        gone.set()
    assert not verdict.passed


@pytest.mark.parametrize("url", ["http://veto.example/check", "https://10.0.0.1/", "https://user:word@veto.example/"])
async def test_an_address_that_is_not_ours_to_call_is_never_called(url: str) -> None:
    [verdict] = (await ask(policy(url), candidates(1))).values()
    assert (verdict.passed, verdict.next_at) == (False, NOW + timedelta(seconds=60))


async def test_without_a_key_of_the_installation_nothing_is_sent() -> None:
    async def answer(headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        raise AssertionError("asked all the same")

    async with far_end(answer) as url:
        [verdict] = (await ask(policy(url), candidates(1), SecretStr(""))).values()
    assert not verdict.passed
    assert "TRUNKLINE_SECRET_KEY" in str(verdict.source)


async def test_who_asks_nobody_waits_for_nobody() -> None:
    assert await ask(policy(None), candidates(3)) == {}


def test_the_signing_secret_is_one_of_the_organization() -> None:
    assert signing_secret(KEY, ORG) == signing_secret(KEY, ORG)
    assert signing_secret(KEY, ORG) != signing_secret(KEY, OrgId(new_id()))
