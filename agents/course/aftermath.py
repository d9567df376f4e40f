"""After a call is over and put away: who had answered it, and what it was worth. Nobody holds a telephone any more."""

from agents.answering.listening import Answering
from agents.answering.watching import conclude_answerer
from agents.course.opening import Opened
from agents.desk import Desk
from agents.evaluation.due import evaluate_own
from app.db import Database, DatabaseUnavailable
from app.logs import get_logger
from telephony.calls import load_call

log = get_logger(__name__)


async def look_back(db: Database, desk: Desk, opened: Opened, answering: Answering | None) -> None:
    """Both are written down where the call has ended; a call that goes on without us is looked back on by whoever has
    it then. What it is worth another worker says where this one is told to stop meanwhile, or dies."""
    try:
        call = await load_call(db, opened.call.id)
        if call.end is None:
            return
        if answering is not None:
            await conclude_answerer(db, call, answering)
            call = await load_call(db, call.id)
        if opened.floor is not None:
            # The team's criteria are about its agents, who said nothing here.
            return
        await evaluate_own(db, desk, call, opened.definition)
    except DatabaseUnavailable as error:
        log.warning("a call was not looked back on", call_id=str(opened.call.id), error=error.detail)
