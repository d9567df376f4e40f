"""What happens to a campaign and its attempts, written down in the transaction in which it happens.

A trigger of the database puts an event into the outbox of every webhook that wants it, in the same transaction; the
event streams read `campaign_events` itself. What becomes of a campaign's status, and that a contact is taken out by
hand, is told by triggers too: whoever asks for that may not write events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.db import Connection
from app.ids import AttemptId, CampaignId, ContactId, OrgId
from campaigns.outcomes import event_store


class CampaignEventKind(StrEnum):
    """`attempt.*`: of one try. `contact.*`: of a contact without a dial. `campaign.*`: of the campaign as a whole."""

    ATTEMPT_DIALED = "attempt.dialed"
    """The intent is committed: from now on the number may ring."""
    ATTEMPT_SETTLED = "attempt.settled"
    """Over, with its disposition; `due_at` says when the contact is called again, if it is."""
    ATTEMPT_RELEASED = "attempt.released"
    """Given up, surely undialed."""
    CONTACT_BLOCKED = "contact.blocked"
    """A gate said never, or somebody took the contact out: `gate` (which, or `hand`) and `detail`, the reason."""
    CAMPAIGN_STARTED = "campaign.started"
    CAMPAIGN_RESUMED = "campaign.resumed"
    CAMPAIGN_PAUSED = "campaign.paused"
    CAMPAIGN_FINISHED = "campaign.finished"
    CAMPAIGN_CANARY = "campaign.canary"
    CAMPAIGN_DRAFT = "campaign.draft"
    CAMPAIGN_SCHEDULED = "campaign.scheduled"


@dataclass(frozen=True)
class AttemptEvent:
    """`data`: JSON values, such as phone, ordinal, disposition, call_id, due_at, detail; what is not known is left out.

    Instants are written as RFC 3339 text by who makes the event.
    """

    org_id: OrgId
    campaign_id: CampaignId
    kind: CampaignEventKind
    attempt_id: AttemptId | None = None
    contact_id: ContactId | None = None
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])


async def record_attempt_events(connection: Connection, rows: Sequence[AttemptEvent]) -> None:
    """One statement however many they are; none for none. Inside the transaction of what they tell."""
    if rows:
        await event_store.insert_events(
            connection,
            [(r.org_id, r.campaign_id, r.attempt_id, r.contact_id, r.kind.value, r.data) for r in rows],
        )


async def record_campaign_event(
    connection: Connection,
    org_id: OrgId,
    campaign_id: CampaignId,
    kind: CampaignEventKind,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Of the campaign as a whole, but for changes of its status, which tell themselves."""
    await record_attempt_events(connection, [AttemptEvent(org_id, campaign_id, kind, data=data or {})])
