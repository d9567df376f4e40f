"""LiveKit keeps trunks in Redis, which may come back empty; then LiveKit SIP knows no caller. So we look, and mend."""

import asyncio
import random
from collections.abc import Sequence

from app.db import Database, Row
from app.errors import TrunklineError
from app.logs import get_logger
from app.settings import Settings
from telephony.lines import store
from telephony.lines.trunks import is_ours, plan_inbound, plan_outbound, plan_rule, sync_trunks
from telephony.outbound import Lines
from telephony.switchboard import Switchboard

log = get_logger(__name__)

SECOND_LOOK_SECONDS = 2.0


async def mend_trunks(lines: Lines) -> None:
    """Bring LiveKit's trunks and rule back in step with the rows, if they are out of step at two looks: whoever just
    changes a number brings them in step itself, and two who do it at once get in each other's way. What goes wrong is
    logged."""
    parts = (lines.switchboard, lines.db, lines.settings)
    try:
        if await trunks_match(*parts):
            return
        # Not all replicas at the same moment.
        await asyncio.sleep(SECOND_LOOK_SECONDS * random.SystemRandom().uniform(1, 2))
        if await trunks_match(*parts):
            return
        log.warning("LiveKit's trunks differ from our rows; mending them")
        await sync_trunks(*parts)
    except TrunklineError as error:
        log.warning("LiveKit's trunks could not be mended", error=error.code, why=error.detail)


async def trunks_match(switchboard: Switchboard, db: Database, settings: Settings) -> bool:
    """Whether `sync_trunks` would find nothing to do. Raises SwitchboardError, InvalidAddress, DatabaseUnavailable."""
    async with db.system() as connection:
        numbers = await store.select_sip_numbers(connection)
        outbound = await store.select_outbound_trunks(connection)
    return await inbound_matches(switchboard, settings, numbers) and await outbound_matches(
        switchboard, settings, outbound
    )


async def inbound_matches(switchboard: Switchboard, settings: Settings, numbers: Sequence[Row]) -> bool:
    """The trunks, and the rule that names them."""
    there = [trunk for trunk in await switchboard.list_inbound_trunks() if is_ours(trunk.name, settings.agent_name)]
    if set(there) != set(plan_inbound(numbers, settings)):
        return False
    wanted = plan_rule(settings, frozenset(trunk.id for trunk in there))
    rules = [rule for rule in await switchboard.list_dispatch_rules() if rule.name == wanted.name]
    return rules[:1] == ([wanted] if wanted.trunk_ids else [])


async def outbound_matches(switchboard: Switchboard, settings: Settings, rows: Sequence[Row]) -> bool:
    """The trunks, and the rows that name them."""
    there = {
        (trunk, trunk.id)
        for trunk in await switchboard.list_outbound_trunks()
        if is_ours(trunk.name, settings.agent_name)
    }
    return there == {(trunk, row["livekit_trunk_id"]) for row, trunk in plan_outbound(rows, settings)}
