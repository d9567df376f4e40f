"""An intent that reached no carrier: the attempt is given up, and its contact waits again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from app.clock import utc_now
from app.db import Connection, Row
from app.ids import AttemptId, CampaignId, ContactId, OrgId
from campaigns.dialing import attempt_store
from campaigns.dialing.attempts import Claim
from campaigns.outcomes.events import AttemptEvent, CampaignEventKind, record_attempt_events
from campaigns.rules.dispositions import Disposition
from campaigns.rules.retries import due_after_no_dial


@dataclass(frozen=True)
class Open:
    """An attempt that is open, named as a step names it."""

    attempt_id: AttemptId
    fence: int
    contact_id: ContactId
    campaign_id: CampaignId
    org_id: OrgId

    @classmethod
    def of_claim(cls, claim: Claim) -> Self:
        terms = claim.terms
        return cls(claim.attempt_id, claim.fence, claim.contact_id, terms.campaign_id, terms.org_id)

    @classmethod
    def of_row(cls, row: Row) -> Self:
        """A row of `attempts`, or one with these columns of it."""
        return cls(row["id"], row["fence"], row["contact_id"], row["campaign_id"], row["org_id"])


async def release_undialed(connection: Connection, attempt: Open, *, detail: str, carrier_failed: bool = False) -> bool:
    """An intent that reached no carrier: the try does not count and the contact is due again, later each time."""
    earlier = (await attempt_store.count_undialed(connection, [attempt.contact_id])).get(attempt.contact_id, 0)
    due_at = due_after_no_dial(earlier=earlier, now=utc_now())
    return await release_attempt(connection, attempt, detail=detail, due_at=due_at, carrier_failed=carrier_failed)


async def release_attempt(
    connection: Connection, attempt: Open, *, detail: str, due_at: datetime | None, carrier_failed: bool = False
) -> bool:
    """False, and nothing changed, where someone else has it. `due_at` None leaves the contact's place."""
    released = await attempt_store.set_released(
        connection,
        ids=[attempt.attempt_id],
        fences=[attempt.fence],
        disposition=Disposition.NOT_DIALED,
        detail=detail,
        carrier_failed=carrier_failed,
    )
    if not released:
        return False
    await attempt_store.set_contacts_waiting(connection, [attempt.contact_id], due_at=[due_at])
    told = AttemptEvent(
        attempt.org_id,
        attempt.campaign_id,
        CampaignEventKind.ATTEMPT_RELEASED,
        attempt.attempt_id,
        attempt.contact_id,
        {"detail": detail} | ({"due_at": due_at.isoformat()} if due_at else {}),
    )
    await record_attempt_events(connection, [told])
    return True
