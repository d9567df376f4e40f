"""`POST /api/v1/calls`, step by step: understand it, commit the intent, dial once at its slot, keep the answer."""

import asyncio
from dataclasses import dataclass
from random import random
from uuid import UUID

from app.api.calls.shapes import NewCall, render_call
from app.api.dependencies import State
from app.api.wire import idempotency
from app.api.wire.idempotency import Answer, KeyTaken
from app.api.wire.problems import problem_body
from app.auth.principal import Principal
from app.clock import utc_now
from app.db import Connection
from app.errors import InvalidInput
from app.ids import NumberId, OrgId
from campaigns.dialing.lanes.single import LinesBusy, NoLineFree, NotSent, Slot, place_at_slot, take_line
from telephony import reading_store
from telephony.calls import Call, load_call, read_call
from telephony.carriers.base import DialRefused, DialUncertain
from telephony.lines.numbers import NumberNotFound, find_number, parse_number
from telephony.outbound import DialRequest, OnDoNotCallList, check_callee, place_call, write_intent
from telephony.toll_gate.gate import open_gate


class TeamNotPublished(InvalidInput):
    """No team of that name, or nothing of it is published."""

    code = "team_not_published"


class NoCallerId(InvalidInput):
    """The number to call from is not one of the organization's, or it has none."""

    code = "no_caller_id"


BUSY_SECONDS = 1.0
"""So long others may be at the same lines before whoever asks is told so."""
AGAIN_SECONDS = 0.02


@dataclass(frozen=True)
class Ask:
    """Who asks for a call, for which one, and under which Idempotency-Key ("" for none)."""

    principal: Principal
    body: NewCall
    key: str
    request_hash: bytes
    request_id: str | None


@dataclass(frozen=True)
class Prepared:
    """A committed intent. `slot`: None where nothing paces its lines."""

    call: Call
    slot: Slot | None


async def place_for(state: State, ask: Ask) -> Answer:
    """201 with the call; 202 where nobody knows whether it was dialed; 422 or 502 where the carrier refused it; 403 or
    503 where it was not sent after all.

    Raises InvalidInput, TollGateRefused, NoLineFree or KeyReused: then nothing was written and nothing dialed.
    """
    prepared = await commit_when_free(state, ask)
    if isinstance(prepared, Answer):
        return prepared
    answer = await dial(state, ask, prepared)
    if ask.key:
        async with state.db.request(ask.principal.claims()) as connection:
            await idempotency.keep_answer(connection, ask.principal.org_id, ask.key, answer)
    return answer


async def commit_when_free(state: State, ask: Ask) -> Prepared | Answer:
    """`commit_intent`, again while somebody else is at the same key or the same lines. Raises NoLineFree."""
    until = asyncio.get_running_loop().time() + BUSY_SECONDS
    while True:
        try:
            return await commit_intent(state, ask)
        except (KeyTaken, LinesBusy):
            if asyncio.get_running_loop().time() > until:
                raise
        except NoLineFree:
            # Who had the line before us may be the same request, sent twice.
            async with state.db.request(ask.principal.claims()) as connection:
                if (answer := await find_answer(connection, ask)) is not None:
                    return answer
            raise
        await asyncio.sleep(AGAIN_SECONDS * (0.5 + random()))  # noqa: S311


async def commit_intent(state: State, ask: Ask) -> Prepared | Answer:
    """The call's row together with its key and its slot, or what the key was answered before. Raises KeyTaken,
    NoLineFree."""
    async with state.db.request(ask.principal.claims()) as connection:
        if (answer := await find_answer(connection, ask)) is not None:
            return answer
        request = await read_request(connection, ask)
        gate = await open_gate(connection, request.org_id, request.from_number_id)
        await check_callee(connection, gate, request.to)
        slot = await take_line(connection, request.org_id, gate.number)
        call = await write_intent(connection, gate, request, now=utc_now())
        if ask.key:
            await idempotency.take_key(connection, ask.principal.org_id, ask.key, ask.request_hash, call.id)
        return Prepared(call, slot)


async def find_answer(connection: Connection, ask: Ask) -> Answer | None:
    """What the key was answered before; None for a new one, or none at all. Raises KeyReused."""
    if not ask.key:
        return None
    known = await idempotency.find_known(connection, ask.principal.org_id, ask.key, ask.request_hash)
    if known is None:
        return None
    return known.answer or await answer_unknown(connection, ask.principal.org_id, known.call_id)


async def read_request(connection: Connection, ask: Ask) -> DialRequest:
    """Numbers and names, looked up. Raises InvalidInput with the path at fault."""
    org_id = ask.principal.org_id
    country = await reading_store.select_country(connection, org_id)
    team = await reading_store.select_published_version(connection, org_id, ask.body.team)
    if team is None or team["team_version_id"] is None:
        raise TeamNotPublished(
            f"There is no published team {ask.body.team}.", errors=[{"path": "body.team", "message": "not published"}]
        )
    return DialRequest(
        org_id=org_id,
        to=parse_number(ask.body.to, country),
        team_version_id=team["team_version_id"],
        from_number_id=await find_caller_id(connection, org_id, ask.body.from_number, country),
        variables=ask.body.variables,
    )


async def find_caller_id(connection: Connection, org_id: OrgId, asked: str | None, country: str) -> NumberId:
    """The number asked for, or the one that the organization has had longest. Raises NoCallerId."""
    fault = {"path": "body.from_number", "message": "not a number of this organization"}
    if asked is None:
        row = await reading_store.select_first_number(connection, org_id)
        if row is None:
            raise NoCallerId("The organization has no number to call from yet.", errors=[fault])
        return NumberId(row["id"])
    try:
        return (await find_number(connection, org_id, parse_number(asked, country))).id
    except NumberNotFound as error:
        raise NoCallerId("That is not a number of this organization.", errors=[fault]) from error


async def dial(state: State, ask: Ask, prepared: Prepared) -> Answer:
    """The one request to the carrier, at its slot, after the intent is committed."""
    call, slot = prepared.call, prepared.slot
    try:
        if slot is None:
            await place_call(state.lines, call)
        else:
            await place_at_slot(state.lines, call, slot)
        status = 201
    except DialUncertain:
        status = 202
    except (NotSent, OnDoNotCallList) as error:
        extra = error.extra | {"call_id": str(call.id)}
        body = problem_body(ask.request_id, error.status, error.code, error.title, error.detail, extra)
        return Answer(error.status, body)
    except DialRefused as error:
        # The carrier named a reason that asking again will not mend: the request was wrong, not the line.
        for_good = error.carrier_code is not None and not error.retryable
        extra = error.extra | {"call_id": str(call.id)}
        body = problem_body(ask.request_id, 422 if for_good else 502, error.code, error.title, error.detail, extra)
        return Answer(body["status"], body)
    return Answer(status, render_call(await load_call(state.db, call.id)).model_dump(mode="json"))


async def answer_unknown(connection: Connection, org_id: OrgId, call_id: UUID) -> Answer:
    """The key came before and was never answered: the process died, or is still at it. The row tells."""
    row = await reading_store.select_call(connection, org_id, call_id)
    assert row is not None  # the key refers to it
    return Answer(202, render_call(read_call(row)).model_dump(mode="json"), replayed=True)
