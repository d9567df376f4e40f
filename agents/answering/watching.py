"""Where listening for a machine meets the call: calls that we place, from the answer to the row's last word on it."""

from agents.answering.listening import Answering
from agents.answering.verdict import Finding, conclude
from agents.conversation_state import ConversationState
from agents.session import RunningSession
from app.db import Database
from telephony.calls import Call, Direction, EndReason
from telephony.watch.answerer import note_answerer


def watch_answer(db: Database, call: Call, state: ConversationState, running: RunningSession) -> Answering | None:
    """Start to find out who picks up; the running session owns the task. None for a caller, who is known to be a
    person, and for a rescue, before which all that was found out."""
    if call.direction is not Direction.OUTBOUND or state.rescue:
        return None

    async def note(finding: Finding) -> None:
        await note_answerer(db, call.id, finding.answered_by, finding.evidence)

    answering = Answering(running.session, state, note)
    state.before_reply = answering.before_reply
    running.keep(answering.run(), name="answering")
    return answering


async def conclude_answerer(db: Database, call: Call, answering: Answering) -> None:
    """Once the call is over: what it came to has the last word. What was found before is noted already, also by who
    hung up on a machine."""
    if call.answered_at is None or (call.end is not None and call.end.reason is EndReason.MACHINE):
        return
    last = conclude(answering.found, hint=call.hint, turns=answering.turns)
    if last is not None and last != answering.found:
        await note_answerer(db, call.id, last.answered_by, last.evidence)
