"""The same request twice gets one answer: what `Idempotency-Key` means here.

The key is committed in the transaction that makes the call's row. So whoever sends the key again, at the same time
or after a crash, finds the call that it made, and nothing is dialed a second time.
"""

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.api.wire import store
from app.api.wire.problems import MEDIA_TYPE
from app.db import Connection
from app.errors import Conflict
from app.ids import OrgId


class KeyReused(Conflict):
    """The Idempotency-Key came before, with another request."""

    code = "idempotency_key_reused"


class KeyTaken(Exception):
    """Another transaction took the key while this one was at work: undo this one and look again."""


@dataclass(frozen=True)
class Answer:
    """What a request was answered; `replayed`: the second time."""

    status: int
    body: dict[str, Any]
    replayed: bool = False

    @property
    def media_type(self) -> str:
        return MEDIA_TYPE if self.status >= 400 else "application/json"


@dataclass(frozen=True)
class Known:
    """A key that came before: the call it made, and the answer unless that was never given."""

    call_id: UUID
    answer: Answer | None


def hash_request(method: str, path: str, body: str) -> bytes:
    return hashlib.sha256(f"{method} {path}\n{body}".encode()).digest()


async def find_known(connection: Connection, org_id: OrgId, key: str, request_hash: bytes) -> Known | None:
    """Raises KeyReused."""
    await store.forget_old_keys(connection, org_id)
    row = await store.select_key(connection, org_id, key)
    if row is None:
        return None
    if bytes(row["request_hash"]) != request_hash:
        raise KeyReused("This Idempotency-Key came before with another request; use a new one.")
    if row["response_status"] is None:
        return Known(row["call_id"], None)
    return Known(row["call_id"], Answer(row["response_status"], row["response_body"], replayed=True))


async def take_key(connection: Connection, org_id: OrgId, key: str, request_hash: bytes, call_id: UUID | None) -> None:
    """`call_id` None: what is done is no call. Raises KeyTaken."""
    if not await store.insert_key(connection, org_id, key, request_hash, call_id):
        raise KeyTaken


async def keep_answer(connection: Connection, org_id: OrgId, key: str, answer: Answer) -> None:
    await store.set_response(connection, org_id, key, answer.status, answer.body)
