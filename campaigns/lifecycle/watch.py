"""What campaigns do by themselves: start and finish at their time, go on or stop after their canary, pause when
something broke. Every decision is a pure rule's; every change is compare-and-set, so it may be tried by anyone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.db import Connection, Database, Row
from app.ids import CampaignId, OrgId
from app.logs import get_logger
from campaigns.campaigns import CanaryStatus, select_campaign
from campaigns.lifecycle import store, watch_store
from campaigns.outcomes.events import CampaignEventKind, record_campaign_event
from campaigns.rules.breaker import Breaker, CallCounts, decide_breaker
from campaigns.rules.canary import Canary, CanaryCounts, CanaryVerdict, Step, decide_canary

log = get_logger(__name__)

WINDOW_CALLS = 1000
"""Of a fast campaign the window is its last so many calls: they say enough, and say it sooner."""
LATEST_CALLS = 4000


async def keep_times(db: Database) -> None:
    """Scheduled campaigns start, those past their deadline are over."""
    async with db.system() as connection:
        for row in await store.finish_overdue(connection):
            log.info("a campaign's deadline passed", campaign_id=str(row["id"]))
        for row in await store.start_scheduled(connection):
            log.info("a scheduled campaign starts", campaign_id=str(row["id"]))


async def judge_canaries(db: Database) -> None:
    """Each campaign that dials its first contacts goes on, waits, or is paused with the reason."""
    async with db.system() as connection:
        campaigns = await watch_store.select_on_canary(connection)
    for campaign in campaigns:
        async with db.system() as connection:
            rule = Canary.model_validate(campaign["canary"])
            counts = await load_canary_counts(connection, campaign["id"], rule)
            await _follow(connection, campaign, decide_canary(counts, rule))


@dataclass(frozen=True)
class CanaryLook:
    """`status`: as it stands, None without a canary. `verdict`: what its rule says of the counts now."""

    status: CanaryStatus | None
    counts: CanaryCounts
    verdict: CanaryVerdict


async def look_at_canary(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> CanaryLook:
    """Raises CampaignNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        campaign = await select_campaign(connection, org_id, campaign_id)
        rule = Canary.model_validate(campaign.settings["canary"])
        counts = await load_canary_counts(connection, campaign_id, rule)
    return CanaryLook(campaign.canary_status, counts, decide_canary(counts, rule))


async def load_canary_counts(connection: Connection, campaign_id: CampaignId, rule: Canary) -> CanaryCounts:
    row = await watch_store.count_canary(connection, campaign_id, first=rule.contacts)
    return CanaryCounts(
        contacts=row["dialed"] + row["waiting"],
        dialed=row["dialed"],
        settled=row["settled"],
        answered=row["answered"],
        failed=row["failed"],
        judged=row["judged"],
        scored=row["scored"],
        mean_score=row["mean_score"],
        quiet_seconds=row["quiet_seconds"],
    )


async def _follow(connection: Connection, campaign: Row, verdict: CanaryVerdict) -> None:
    if verdict.step is Step.WAIT:
        return
    org_id, campaign_id = OrgId(campaign["org_id"]), CampaignId(campaign["id"])
    status = CanaryStatus.PASSED if verdict.step is Step.GO_ON else CanaryStatus.STOPPED
    if not await watch_store.settle_canary(connection, campaign_id, status=status):
        return
    if status is CanaryStatus.STOPPED:
        await store.set_paused(connection, org_id, campaign_id, reason=verdict.reason)
    data = {"canary_status": status.value, "reason": verdict.reason}
    await record_campaign_event(connection, org_id, campaign_id, CampaignEventKind.CAMPAIGN_CANARY, data)
    log.info("a campaign's canary was judged", campaign_id=str(campaign_id), status=status.value)


async def judge_breakers(db: Database) -> None:
    """Each running campaign whose last calls say that something broke is paused with the reason."""
    async with db.system() as connection:
        campaigns = await watch_store.select_off_canary(connection)
    for campaign in campaigns:
        rule = Breaker.model_validate(campaign["breaker"])
        async with db.system() as connection:
            window, before = await load_recent_calls(connection, campaign["id"], rule)
            trip = decide_breaker(window, rule, before=before)
            if trip is not None:
                await store.set_paused(connection, campaign["org_id"], campaign["id"], reason=trip.reason)
                log.warning("a campaign paused itself", campaign_id=str(campaign["id"]), kind=trip.kind.value)


async def load_recent_calls(
    connection: Connection, campaign_id: CampaignId, rule: Breaker
) -> tuple[CallCounts, CallCounts]:
    """→ the calls of the breaker's window, and those before it; all since the campaign was started last."""
    rows = await watch_store.count_recent_calls(
        connection,
        campaign_id,
        window_seconds=rule.window_seconds,
        window_calls=WINDOW_CALLS,
        calls=LATEST_CALLS,
    )
    counts = {row["recent"]: _read_counts(row) for row in rows}
    return counts.get(True, CallCounts()), counts.get(False, CallCounts())


def _read_counts(row: Row) -> CallCounts:
    return CallCounts(
        calls=row["calls"],
        answered=row["answered"],
        by_people=row["by_people"],
        abandoned=row["abandoned"],
        carrier_errors=row["carrier_errors"],
        our_failures=row["our_failures"],
    )
