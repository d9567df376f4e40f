"""A campaign in its ramp: slower at first, on fewer lines."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from app.db import Database
from app.ids import OrgId
from tests.db.campaign_carrier import LedgerCarrier, read_ledger
from tests.db.campaign_world import Webhooks, add_team, dialing, finish, running_campaign


async def test_a_campaign_in_its_ramp_dials_at_its_part_of_the_rate(db: Database, org: OrgId, tmp_path: Path) -> None:
    await add_team(db, org)
    carrier = LedgerCarrier(tmp_path / "ledger.jsonl")
    campaign = await running_campaign(db, org, 6, calls_per_second=50.0)
    async with db.system() as connection:
        gentle = {"ramp": {"seconds": 3600, "start_share": 0.08}}
        await connection.execute("update campaigns set pace = $2 where id = $1", campaign.id, gentle)
    webhooks = Webhooks(db, carrier)
    async with dialing(db, carrier, name="one"), dialing(db, carrier, name="two"):
        await finish(db, campaign, webhooks)
    dials = sorted(one.at for one in read_ledger(carrier.path))
    assert len(dials) == 6
    assert all(later - sooner > timedelta(seconds=1 / 4) for sooner, later in pairwise(dials))
