"""Who picked up a phone that we dialed, as whoever found it out writes it down."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.db import Database
from app.ids import CallId
from telephony import store
from telephony.calls import AnsweredBy, EventKind, record_event


async def note_answerer(
    db: Database, call_id: CallId | UUID, answered_by: AnsweredBy, evidence: Mapping[str, Any]
) -> None:
    """`evidence`: {"by": "words" | "beep" | "sit" | "length" | "end", …}. A later finding replaces an earlier one."""
    async with db.system() as connection:
        row = await store.set_answered_by(connection, call_id, answered_by, evidence)
        if row is not None:
            data = {"answered_by": answered_by, "by": evidence.get("by")}
            await record_event(connection, row["org_id"], row["id"], EventKind.CALL_ANSWERED_BY, data)
