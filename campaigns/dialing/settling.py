"""The end of an attempt: its call is over, so it gets a disposition, and its contact is finished or due again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.clock import utc_now
from app.db import Connection, Database, Row
from campaigns.dialing import attempt_store, settling_store
from campaigns.dialing.attempts import Failpoint, Point, Times, no_failpoint
from campaigns.dialing.recovery.releasing import Open, release_undialed
from campaigns.do_not_call.asking import Asked, find_asked
from campaigns.outcomes.events import AttemptEvent, CampaignEventKind, record_attempt_events
from campaigns.rules.callbacks import read_callback, remember, remember_refused, unfit_numbers, zone_for
from campaigns.rules.dispositions import (
    Disposition,
    OnRefusal,
    OutcomeCodes,
    decide_disposition,
    decide_undialed,
)
from campaigns.rules.retries import Facts, NextTry, RetryRule, plan_next
from telephony import outbound_store
from telephony.calls import AnsweredBy, AtFault, End, EndReason, EndResult
from telephony.carriers.base import NumberFault
from telephony.carriers.replies import read_reply

SETTLE_AT_ONCE = 500


@dataclass(frozen=True)
class Settlement:
    """What an attempt, by its row of `select_ended` or `select_refused`, came to. `again`: None where the contact is
    finished. `callback_at`: the person asked for it. `memory`: what the next call knows of this one. `detail`: why
    nobody was dialed."""

    row: Row
    disposition: str
    again: NextTry | None
    callback_at: datetime | None = None
    memory: Mapping[str, Any] = field(default_factory=dict[str, Any])
    detail: str | None = None


async def settle_ended(db: Database, times: Times, *, failpoint: Failpoint = no_failpoint) -> int:
    """Attempts whose call is over get their disposition, contacts are finished or due again; how many."""
    async with db.system() as connection:
        await attempt_store.bound_idle(connection)
        rows = await settling_store.select_ended(connection, last_words_seconds=times.last_words, limit=SETTLE_AT_ONCE)
        if not rows:
            return 0
        now = utc_now()
        settlements: list[Settlement] = []
        for row in rows:
            if was_refused(read_end(row), unknown_to_carrier=row["unknown_to_carrier"]):
                detail = "the carrier refused the dial, and who dialed did not live to say so"
                await release_undialed(connection, Open.of_row(row), detail=detail)
            else:
                settlements.append(decide(row, now))
        await write_settlements(connection, settlements)
        failpoint(Point.SETTLING)
    return len(rows)


def read_end(row: Row) -> End:
    return End(EndResult(row["end_result"]), EndReason(row["end_reason"]), AtFault(row["end_at_fault"]))


def was_refused(end: End, *, unknown_to_carrier: bool) -> bool:
    """`place_call` closes a refused call so, before its dialer can say so; what a carrier tells carries its id."""
    return unknown_to_carrier and end.reason is EndReason.CARRIER_ERROR


def decide(row: Row, now: datetime) -> Settlement:
    """The outcome of one attempt, and what follows for its contact."""
    disposition = decide_disposition(
        read_end(row),
        row["hint"],
        answered=row["answered_at"] is not None,
        by_machine=row["answered_by"] == AnsweredBy.MACHINE,
        refusal=read_reply(carrier=row["carrier"], sip_code=row["sip_code"]),
        codes=OutcomeCodes.read(row["outcomes"]),
    )
    zone, answered = zone_for(row["time_zone"], row["dialed"]), row["answered_at"] is not None
    callback_at = read_callback(row["hint"], zone=zone, now=now) if disposition == Disposition.CALLBACK else None
    memory = remember(
        row["memory"], at=now, disposition=disposition, phone=row["dialed"], hint=row["hint"], answered=answered
    )
    facts = Facts(
        disposition=disposition,
        attempts_made=row["attempts_made"] + 1,
        phone_index=row["phone_index"],
        phones=row["phones"],
        now=now,
        zone=zone,
        callback_at=callback_at,
        wrong_numbers=unfit_numbers(memory),
    )
    again = plan_next(RetryRule.read(row["retry"]), facts)
    # Also where this campaign makes no more calls: a redial keeps the promise.
    return Settlement(row, disposition, again, callback_at, memory)


def decide_refused(
    row: Row, now: datetime, *, end: End, detail: str, number_fault: NumberFault | None, blocked: bool
) -> Settlement:
    """The outcome of a dial that the carrier surely did not make, and what follows: the number that it refuses for good
    is not tried again, the contact's others are."""
    memory = remember_refused(row["memory"], phone=row["dialed"], fault=number_fault)
    facts = Facts(
        disposition=decide_undialed(end, blocked=blocked, codes=OutcomeCodes.read(row["outcomes"])),
        attempts_made=row["attempts_made"] + 1,
        phone_index=row["phone_index"],
        phones=row["phones"],
        now=now,
        zone=zone_for(row["time_zone"], row["dialed"]),
        wrong_numbers=unfit_numbers(memory),
        refused=number_fault is not None,
    )
    again = plan_next(RetryRule.read(row["retry"]), facts)
    return Settlement(row, facts.disposition, again, memory=memory, detail=detail)


async def write_settlements(connection: Connection, settlements: Sequence[Settlement]) -> None:
    """All in a few statements; the rows are held, so each is still what it was decided on."""
    if not settlements:
        return
    rows = [one.row for one in settlements]
    await settling_store.set_settled(
        connection,
        ids=[row["id"] for row in rows],
        fences=[row["fence"] for row in rows],
        dispositions=[one.disposition for one in settlements],
        details=[one.detail for one in settlements],
    )
    await settling_store.set_contacts_dialed(
        connection,
        contact_ids=[row["contact_id"] for row in rows],
        dispositions=[one.disposition for one in settlements],
        due_at=[one.again.due_at if one.again else None for one in settlements],
        phone_index=[one.again.phone_index if one.again else None for one in settlements],
        callback_at=[one.callback_at for one in settlements],
        memories=[json.dumps(dict(one.memory)) for one in settlements],
    )
    await outbound_store.insert_do_not_call(connection, [asked for one in settlements for asked in _asked(one)])
    await record_attempt_events(connection, [_told(one) for one in settlements])


def _asked(one: Settlement) -> list[Asked]:
    row = one.row
    refusal = read_reply(carrier=row["carrier"], sip_code=row["sip_code"])
    lists = refusal is not None and OutcomeCodes.read(row["outcomes"]).on_refusal(refusal) is OnRefusal.DO_NOT_CALL
    return find_asked(
        row["org_id"],
        disposition=one.disposition,
        refusal=refusal if lists else None,
        dialed=row["dialed"],
        phones=row["phones"],
    )


def _told(one: Settlement) -> AttemptEvent:
    row = one.row
    data = {
        "phone": row["dialed"],
        "ordinal": row["ordinal"],
        "disposition": one.disposition,
        "call_id": str(row["call_id"]),
    }
    if one.detail:
        data["detail"] = one.detail
    if one.again:
        data["due_at"] = one.again.due_at.isoformat()
    kind = CampaignEventKind.ATTEMPT_SETTLED
    return AttemptEvent(row["org_id"], row["campaign_id"], kind, row["id"], row["contact_id"], data)
