"""Webhooks: in the outbox with their event, signed, delivered again until they are taken, and never to our network."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from app.db import Database, Row
from app.http.outward import AddressForbidden, Answer, Outward
from app.ids import AttemptId, CampaignId, ContactId, OrgId, new_id
from campaigns.contacts import remove_contact
from campaigns.outcomes.events import AttemptEvent, CampaignEventKind, record_attempt_events
from campaigns.outcomes.webhooks import store
from campaigns.outcomes.webhooks.delivering import (
    EACH,
    WAITS_SECONDS,
    Deliverer,
    deliver_webhooks,
    start_due,
    wait_seconds,
)
from campaigns.outcomes.webhooks.endpoints import (
    EndpointNotFound,
    TooManyEndpoints,
    UnknownEvents,
    Wish,
    change_endpoint,
    create_endpoint,
    list_deliveries,
    list_endpoints,
    resend,
    send_test,
)
from tests.db.outcome_world import add_attempt, add_campaign, add_contacts, run
from tests.db.webhook_receiver import Receiver, receiving

pytestmark = pytest.mark.db

KEY = SecretStr("the installation's key of these tests")
SETTLED = CampaignEventKind.ATTEMPT_SETTLED


async def subscribe(db: Database, org: OrgId, url: str, **wish: Any) -> tuple[UUID, str]:
    endpoint, secret = await create_endpoint(db, org, Wish(url=url, **wish), secret_key=KEY, allow_loopback=True)
    return endpoint.id, secret


async def campaign_with_attempt(db: Database, org: OrgId, **columns: Any) -> tuple[CampaignId, UUID, UUID]:
    async with db.system() as connection:
        campaign = await add_campaign(connection, org, **columns)
        contact = (await add_contacts(connection, org, campaign, 1))[0]
        hint = {"disposition": "confirmed", "details": {"slot": "Tuesday"}}
        attempt, _ = await add_attempt(connection, org, campaign, contact, "confirmed", hint=hint)
    return campaign, contact, attempt


async def tell(db: Database, org: OrgId, campaign: CampaignId, contact: UUID, attempt: UUID, times: int = 1) -> None:
    event = AttemptEvent(org, campaign, SETTLED, AttemptId(attempt), ContactId(contact), {"disposition": "confirmed"})
    async with db.system() as connection:
        await record_attempt_events(connection, [event] * times)


@asynccontextmanager
async def delivering(db: Database, outward: Outward) -> AsyncIterator[Deliverer]:
    deliverer = Deliverer(db, outward, KEY)
    stopping = asyncio.Event()
    task = asyncio.create_task(deliver_webhooks(deliverer, stopping))
    try:
        yield deliverer
    finally:
        stopping.set()
        await asyncio.wait_for(task, 10)


async def log_of(db: Database, org: OrgId, endpoint: UUID) -> list[Row]:
    return list(await list_deliveries(db, org, endpoint))


async def until_log(db: Database, org: OrgId, endpoint: UUID, status: str, count: int = 1) -> list[Row]:
    async with asyncio.timeout(15):
        while True:
            rows = await log_of(db, org, endpoint)
            if sum(row["status"] == status for row in rows) == count:
                return rows
            await asyncio.sleep(0.05)


async def make_due(db: Database) -> None:
    async with db.system() as connection:
        await connection.execute("update webhook_deliveries set next_at = now() where status = 'pending'")


async def test_an_attempts_event_arrives_signed_with_contact_outcome_and_code(
    db: Database, org: OrgId, outward: Outward, receiver: Receiver
) -> None:
    endpoint, secret = await subscribe(db, org, receiver.url)
    campaign, contact, attempt = await campaign_with_attempt(
        db, org, outcomes={"codes": {"confirmed": "OK1"}, "columns": ["slot"]}
    )
    async with delivering(db, outward):
        await tell(db, org, campaign, contact, attempt)
        [row] = await until_log(db, org, endpoint, "delivered")
    [got] = receiver.got
    assert Webhook(secret).verify(got.body, got.headers)["type"] == "attempt.settled"
    assert got.headers["webhook-id"] == str(row["id"])
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(got.body.replace("confirmed", "refused"), got.headers)
    data = got.message["data"]
    assert data["contact"]["phone"] == "+12025550100"
    assert data["contact"]["variables"] == {"plan": "gold"}
    assert data["attempt"]["disposition"] == "confirmed"
    assert data["attempt"]["code"] == "OK1"
    assert data["attempt"]["details"] == {"slot": "Tuesday"}
    assert data["attempt"]["talk_seconds"] == 42.0
    assert (row["last_status"], row["tries"]) == (200, 1)


async def test_a_contact_that_is_taken_out_by_hand_arrives_with_the_reason(
    db: Database, org: OrgId, outward: Outward, receiver: Receiver
) -> None:
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        contact, _ = await add_contacts(connection, org, campaign, 2)
    endpoint, _ = await subscribe(db, org, receiver.url, events=["contact.blocked"])
    async with delivering(db, outward):
        async with db.system() as connection:
            await remove_contact(connection, org, ContactId(contact), reason="asked by mail")
        await until_log(db, org, endpoint, "delivered")
    [got] = receiver.got
    data = got.message["data"]
    assert data["event"] == {"phone": "+12025550100", "gate": "hand", "detail": "asked by mail"}
    assert data["campaign"]["id"] == str(campaign)
    told = {name: data["contact"][name] for name in ("id", "phone", "name", "status", "due_at")}
    assert told == {
        "id": str(contact),
        "phone": "+12025550100",
        "name": "Contact 1",
        "status": "blocked",
        "due_at": None,
    }


async def test_a_change_of_status_is_told_with_the_counts_whoever_made_it(
    db: Database, org: OrgId, outward: Outward, receiver: Receiver
) -> None:
    campaign, _, _ = await campaign_with_attempt(db, org)
    endpoint, _ = await subscribe(db, org, receiver.url, events=["campaign.started", "campaign.paused"])
    await run(db, campaign)
    async with db.system() as connection:
        await connection.execute(
            "update campaigns set status = 'paused', pause_reason = 'answer rate fell' where id = $1", campaign
        )
    async with delivering(db, outward):
        await until_log(db, org, endpoint, "delivered", 2)
    told = {got.message["type"]: got.message["data"] for got in receiver.got}
    assert told["campaign.paused"]["event"] == {"from": "running", "status": "paused", "reason": "answer rate fell"}
    assert told["campaign.started"]["progress"]["contacts"]["finished"] == 1


async def test_what_is_rolled_back_is_not_told_and_other_kinds_campaigns_and_organizations_are_not_either(
    db: Database, org: OrgId, outward: Outward, receiver: Receiver
) -> None:
    campaign, contact, attempt = await campaign_with_attempt(db, org)
    other, _, _ = await campaign_with_attempt(db, org)
    of_kind, _ = await subscribe(db, org, receiver.url, events=["campaign.finished"])
    of_other, _ = await subscribe(db, org, receiver.url, campaign_id=other)
    off, _ = await subscribe(db, org, receiver.url)
    await change_endpoint(db, org, off, Wish(enabled=False))
    async with db.system() as connection:
        undone = connection.transaction()
        await undone.start()
        await record_attempt_events(connection, [AttemptEvent(org, other, SETTLED)])
        await undone.rollback()
    await tell(db, org, campaign, contact, attempt)
    for endpoint in (of_kind, of_other, off):
        assert await log_of(db, org, endpoint) == []


async def test_a_delivery_is_repeated_with_the_same_id_and_bytes_until_it_is_taken(
    db: Database, org: OrgId, outward: Outward, receiver: Receiver
) -> None:
    receiver.answers = ["500 No", "302 Found\r\nlocation: http://10.0.0.1/", "204 Thanks"]
    endpoint, secret = await subscribe(db, org, receiver.url)
    campaign, contact, attempt = await campaign_with_attempt(db, org)
    await tell(db, org, campaign, contact, attempt)
    async with delivering(db, outward):
        for tries in (1, 2, 3):
            async with asyncio.timeout(10):
                while len(receiver.got) < tries:
                    await make_due(db)
                    await asyncio.sleep(0.1)
        [row] = await until_log(db, org, endpoint, "delivered")
    assert row["tries"] == len(receiver.got) == 3
    assert len({(got.headers["webhook-id"], got.body) for got in receiver.got}) == 1
    assert all(Webhook(secret).verify(got.body, got.headers) for got in receiver.got)


async def test_a_sender_that_dies_leaves_the_delivery_to_the_next_and_its_late_word_changes_nothing(
    db: Database, org: OrgId, outward: Outward, receiver: Receiver
) -> None:
    endpoint, _ = await subscribe(db, org, receiver.url)
    campaign, contact, attempt = await campaign_with_attempt(db, org)
    await tell(db, org, campaign, contact, attempt)
    async with db.system() as connection:
        [dead] = await store.take_due(connection, limit=10, each=10, busy=[], lease_seconds=60)
        assert await store.take_due(connection, limit=10, each=10, busy=[], lease_seconds=60) == []
    await make_due(db)
    async with delivering(db, outward):
        await until_log(db, org, endpoint, "delivered")
    async with db.system() as connection:
        await store.set_undelivered(
            connection, dead["id"], tries=dead["tries"], error="x", status=None, milliseconds=None, wait_seconds=None
        )
    assert (await log_of(db, org, endpoint))[0]["status"] == "delivered"


async def test_two_senders_share_the_outbox_without_sending_twice(
    db: Database, org: OrgId, outward: Outward, receiver: Receiver
) -> None:
    endpoint, _ = await subscribe(db, org, receiver.url)
    campaign, contact, attempt = await campaign_with_attempt(db, org)
    await tell(db, org, campaign, contact, attempt, times=60)
    async with delivering(db, outward), delivering(db, outward):
        await until_log(db, org, endpoint, "delivered", 50)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == len(receiver.got) == 60


async def test_a_slow_endpoint_holds_nobody_else_up(db: Database, org: OrgId, outward: Outward) -> None:
    campaign, contact, attempt = await campaign_with_attempt(db, org)
    async with receiving() as slow, receiving() as quick:
        slow.hold.clear()
        await subscribe(db, org, slow.url)
        endpoint, _ = await subscribe(db, org, quick.url)
        await tell(db, org, campaign, contact, attempt, times=30)
        async with delivering(db, outward):
            await until_log(db, org, endpoint, "delivered", 30)
            assert slow.most_at_once <= EACH
            slow.hold.set()


async def test_an_endpoint_that_is_gone_is_turned_off_with_its_reason_until_someone_turns_it_on(
    db: Database, org: OrgId, outward: Outward, receiver: Receiver
) -> None:
    receiver.answers = ["410 Gone", "200 OK"]
    endpoint, _ = await subscribe(db, org, receiver.url)
    campaign, contact, attempt = await campaign_with_attempt(db, org)
    await tell(db, org, campaign, contact, attempt)
    async with delivering(db, outward):
        [row] = await until_log(db, org, endpoint, "failed")
        [shown] = await list_endpoints(db, org)
        assert not shown.enabled
        assert shown.disabled_reason == "it answered 410 Gone"
        await change_endpoint(db, org, endpoint, Wish(enabled=True))
        again = await resend(db, org, endpoint, row["id"])
        assert (again["status"], again["tries"]) == ("pending", 0)
        await until_log(db, org, endpoint, "delivered")


async def test_a_name_that_came_to_mean_our_own_network_is_not_called(
    db: Database, org: OrgId, outward: Outward, receiver: Receiver
) -> None:
    endpoint, _ = await subscribe(db, org, receiver.url)
    strict = Outward(allow_loopback=False)
    await send_test(db, org, endpoint)
    deliverer = Deliverer(db, strict, KEY)
    assert await start_due(deliverer) == 1
    await deliverer.tasks.drain(within_seconds=5)
    await strict.close()
    [row] = await log_of(db, org, endpoint)
    assert row["last_error"] == "Use an https:// address."
    assert receiver.got == []


async def test_a_secret_sealed_with_another_key_is_told_in_the_log(
    db: Database, org: OrgId, outward: Outward, receiver: Receiver
) -> None:
    endpoint, _ = await subscribe(db, org, receiver.url)
    await send_test(db, org, endpoint)
    deliverer = Deliverer(db, outward, SecretStr("another key"))
    await start_due(deliverer)
    await deliverer.tasks.drain(within_seconds=5)
    assert "TRUNKLINE_SECRET_KEY" in (await log_of(db, org, endpoint))[0]["last_error"]


async def test_endpoints_are_checked_when_they_are_made(db: Database, org: OrgId) -> None:
    with pytest.raises(AddressForbidden):
        await subscribe(db, org, "https://192.168.1.1/")
    with pytest.raises(UnknownEvents, match=r"attempt\.settled"):
        await subscribe(db, org, "https://hooks.example/", events=["attempt.setled"])
    with pytest.raises(UnknownEvents, match="no such campaign"):
        await subscribe(db, org, "https://hooks.example/", campaign_id=new_id())
    for _ in range(20):
        await subscribe(db, org, "https://hooks.example/")
    with pytest.raises(TooManyEndpoints):
        await subscribe(db, org, "https://hooks.example/")
    with pytest.raises(EndpointNotFound):
        await send_test(db, org, new_id())


def test_the_waits_grow_over_three_days_and_end_and_retry_after_is_obeyed() -> None:
    waits = [wait_seconds(tries, None, jitter=0.5) for tries in range(1, 12)]
    assert waits == [*map(float, WAITS_SECONDS), None]
    assert sum(WAITS_SECONDS) > 3 * 86400
    for asked, waited in (("120", 120), ("soon", 5), ("99999999", 86400)):
        busy = Answer(503, {"retry-after": asked}, b"", is_whole=True, milliseconds=1)
        assert wait_seconds(1, busy, jitter=0.5) == waited
    assert wait_seconds(1, None, jitter=0.0) == 4
