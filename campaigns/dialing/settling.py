"""The end of an attempt: its call is over, so it gets a disposition, and its contact is finished or due again."""

from datetime import datetime

from app.clock import utc_now
from app.db import Connection, Database, Row
from campaigns.dialing import attempt_store
from campaigns.dialing.attempts import Failpoint, Point, Times, no_failpoint, release_undialed
from campaigns.do_not_call import store as do_not_call_store
from campaigns.rules.dispositions import Disposition, decide_disposition
from campaigns.rules.retries import RetryRule, next_try
from telephony.calls import AtFault, End, EndReason, EndResult

SETTLE_AT_ONCE = 200


async def settle_ended(db: Database, times: Times, *, failpoint: Failpoint = no_failpoint) -> int:
    """Attempts whose call is over get their disposition, contacts are finished or due again; how many."""
    async with db.system() as connection:
        await attempt_store.bound_idle(connection)
        rows = await attempt_store.select_ended(connection, last_words_seconds=times.last_words, limit=SETTLE_AT_ONCE)
        now = utc_now()
        for row in rows:
            await _settle(connection, row, now)
        if rows:
            failpoint(Point.SETTLING)
    return len(rows)


async def _settle(connection: Connection, row: Row, now: datetime) -> None:
    end = End(EndResult(row["end_result"]), EndReason(row["end_reason"]), AtFault(row["end_at_fault"]))
    if was_refused(end, unknown_to_carrier=row["unknown_to_carrier"]):
        detail = "the carrier refused the dial, and who dialed did not live to say so"
        await release_undialed(connection, row["id"], row["fence"], row["contact_id"], detail=detail)
        return
    disposition = decide_disposition(end, row["hint"], answered=row["answered_at"] is not None)
    due_at = next_try(RetryRule.read(row["retry"]), disposition, attempts_made=row["attempts_made"] + 1, now=now)
    if await attempt_store.set_settled(connection, row["id"], row["fence"], disposition=disposition, detail=None):
        await attempt_store.set_contact_dialed(connection, row["contact_id"], disposition=disposition, due_at=due_at)
        if disposition == Disposition.DO_NOT_CALL:
            await do_not_call_store.insert_entry(
                connection, row["org_id"], row["phone"], reason="said in a call", source="said-in-call"
            )


def was_refused(end: End, *, unknown_to_carrier: bool) -> bool:
    """`place_call` closes a refused call so, before its dialer can say so; what a carrier tells carries its id."""
    return unknown_to_carrier and end.reason is EndReason.CARRIER_ERROR
