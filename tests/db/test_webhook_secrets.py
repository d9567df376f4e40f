"""A webhook endpoint's secret is changed without a message that the receiver must refuse."""

import random
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from app.db import Database
from app.http.outward import Outward
from app.ids import OrgId
from campaigns.outcomes.webhooks import store
from campaigns.outcomes.webhooks.delivering import Deliverer, send
from campaigns.outcomes.webhooks.endpoints import (
    BOTH_SECRETS,
    EndpointNotFound,
    Wish,
    create_endpoint,
    list_endpoints,
    rotate_secret,
    send_test,
)
from tests.db.webhook_receiver import Received, Receiver

pytestmark = pytest.mark.db

KEY = SecretStr("the installation's key of these tests")


async def send_one(db: Database, org: OrgId, endpoint: UUID, outward: Outward, receiver: Receiver) -> Received:
    """A test message, taken and sent; what arrived."""
    await send_test(db, org, endpoint)
    async with db.system() as connection:
        [row] = await store.take_due(connection, limit=1, each=1, busy=[], lease_seconds=60)
    await send(Deliverer(db, outward, KEY, random.random), row)
    return receiver.got[-1]


def is_signed(got: Received, secret: str) -> bool:
    try:
        Webhook(secret).verify(got.body, got.headers)
    except WebhookVerificationError:
        return False
    return True


async def test_after_a_rotation_the_old_secret_signs_beside_the_new_until_its_time_is_over(
    db: Database, org: OrgId, outward: Outward, receiver: Receiver
) -> None:
    made, old = await create_endpoint(db, org, Wish(url=receiver.url), secret_key=KEY, allow_loopback=True)
    rotated, new = await rotate_secret(db, org, made.id, secret_key=KEY)
    assert old != new
    assert rotated.old_secret_until is not None
    assert abs(rotated.old_secret_until - made.created_at - BOTH_SECRETS) < BOTH_SECRETS / 24
    got = await send_one(db, org, made.id, outward, receiver)
    assert [is_signed(got, secret) for secret in (old, new)] == [True, True]

    async with db.system() as connection:
        await connection.execute("update webhook_endpoints set old_secret_until = now() where id = $1", made.id)
    got = await send_one(db, org, made.id, outward, receiver)
    assert [is_signed(got, secret) for secret in (old, new)] == [False, True]
    assert (await list_endpoints(db, org))[0].old_secret_until is None


async def test_of_two_rotations_the_first_secret_signs_nothing_more(
    db: Database, org: OrgId, outward: Outward, receiver: Receiver
) -> None:
    made, first = await create_endpoint(db, org, Wish(url=receiver.url), secret_key=KEY, allow_loopback=True)
    _, second = await rotate_secret(db, org, made.id, secret_key=KEY)
    _, third = await rotate_secret(db, org, made.id, secret_key=KEY)
    got = await send_one(db, org, made.id, outward, receiver)
    assert [is_signed(got, secret) for secret in (first, second, third)] == [False, True, True]


async def test_an_endpoint_that_is_not_there_has_no_secret_to_change(db: Database, org: OrgId) -> None:
    with pytest.raises(EndpointNotFound):
        await rotate_secret(db, org, uuid4(), secret_key=KEY)
