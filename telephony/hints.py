"""What a conversation leaves behind about what it came to, and who says in it that they want no more calls.

`{"disposition": str, "details": {…}}`. Who placed the call makes its own of it later; that somebody asked never to be
called again holds at once, for everybody.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.db import Connection, Database, Row
from app.ids import E164, CallId
from app.logs import get_logger
from telephony import outbound_store, store
from telephony.calls import Channel, Direction
from telephony.lines.numbers import InvalidNumber, parse_dialed, parse_number
from telephony.reading_store import select_country

log = get_logger(__name__)

LONGEST_WORD = 64
DO_NOT_CALL = "do-not-call"
"""The word for who asked never to be called again, as `spell` writes it."""
SAID_IN_CALL = "said-in-call"
SAID_REASON = "said in a call"
"""The source and the reason of an entry on the list."""


def spell(word: str) -> str:
    """As our own words are spelled, in small letters with hyphens: "Do_not call" is "do-not-call"."""
    return "-".join(word.lower().replace("_", " ").split())[:LONGEST_WORD]


def spell_name(name: str) -> str:
    """Of a detail, as columns are named: "Preferred day" is "preferred_day"."""
    return name.strip().lower().replace(" ", "_")


def read_word(hint: Mapping[str, Any]) -> str | None:
    """The outcome that the conversation recorded, spelled like ours; None where it recorded none."""
    word = hint.get("disposition")
    return (spell(word) or None) if isinstance(word, str) else None


def merge_hint(kept: Mapping[str, Any], hint: Mapping[str, Any]) -> dict[str, Any]:
    """The later word counts, and details merge by key. Only who asked never to be called again is not talked over."""
    merged = {**kept, **hint}
    if "details" in hint:
        merged["details"] = {**kept.get("details", {}), **hint["details"]}
    if read_word(kept) == DO_NOT_CALL:
        merged["disposition"] = kept["disposition"]
    return merged


async def leave_hint(db: Database, call_id: CallId | UUID, hint: Mapping[str, Any]) -> bool:
    """Merge `hint` into what the call has; False where its disposition does not count, because they had asked never to
    be called again before. Who asks that is on the organization's list from this transaction on."""
    async with db.system() as connection:
        merged = await leave_hint_in(connection, call_id, hint)
    return merged is not None and ("disposition" not in hint or merged["disposition"] == hint["disposition"])


async def leave_hint_in(
    connection: Connection, call_id: CallId | UUID, hint: Mapping[str, Any]
) -> dict[str, Any] | None:
    """`leave_hint` in a transaction of the caller's → all that the call has now; None where there is no such call."""
    row = await store.hold_call(connection, call_id)
    if row is None:
        return None
    merged = merge_hint(row["hint"], hint)
    await store.set_hint(connection, call_id, merged)
    if read_word(hint) == DO_NOT_CALL:
        await list_person(connection, row)
    return merged


async def list_person(connection: Connection, call: Row) -> None:
    """Whoever we talk to, onto the organization's list; the first reason of a number stays. A browser has no number,
    and a caller who withholds theirs tells none."""
    phone = await find_person(connection, call)
    if phone is not None:
        await outbound_store.insert_do_not_call(connection, [(call["org_id"], phone, SAID_REASON, SAID_IN_CALL)])
    elif call["channel"] == Channel.PHONE:
        log.warning("who asked not to be called again shows no number", call_id=str(call["id"]))


async def find_person(connection: Connection, call: Row) -> E164 | None:
    """Their number, by the call's row; None for a browser, and where there is no number to call."""
    if call["channel"] != Channel.PHONE:
        return None
    if call["direction"] == Direction.OUTBOUND:
        return call["to_number"]
    return read_caller(call["from_number"] or "", await select_country(connection, call["org_id"]))


def read_caller(text: str, country: str) -> E164 | None:
    """What a carrier shows of a caller, as campaigns write numbers: carriers write the national form and the
    international one, with "+", with "00" or bare. None for "anonymous", extensions, and whatever nobody can dial."""
    try:
        return parse_number(text, country)
    except InvalidNumber:
        pass
    try:
        return parse_number(parse_dialed(text), country)
    except InvalidNumber:
        return None
