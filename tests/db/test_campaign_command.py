"""`trunkline campaign run` against the real api and a real dialer; only the carrier is ours."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
import uvicorn
from pydantic import SecretStr
from rich.console import Console

from app.auth.principal import Role
from app.console.campaigns import view
from app.console.campaigns.results import ResultsUnwritable, copy_results
from app.console.campaigns.running import CampaignRun, NobodyToCall, Order
from app.console.client import ApiRefused, open_client
from app.ids import OrgId, new_id
from app.settings import Settings
from campaigns.lifecycle.control import pause_campaign
from tests.conftest import free_port
from tests.db.api_world import Api, api_settings, open_api
from tests.db.campaign_carrier import LedgerCarrier, read_ledger
from tests.db.campaign_world import Webhooks, column, dialing, until


@dataclass
class Desk:
    """A terminal at which the command is typed, an api that it reaches, and a carrier."""

    api: Api
    settings: Settings
    carrier: LedgerCarrier
    folder: Path
    shown: io.StringIO

    def order(
        self, text: str | bytes, *, terminal: bool = False, results: Path | None = None, **options: object
    ) -> CampaignRun:
        file = self.folder / "contacts.csv"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        # At any hour: these tests run at night too.
        wished = {"calls_per_second": 50, "max_attempts": 1, "calling": {"defaults": False}} | options
        order = Order(file, "reception", "Recall", results or self.folder / "results.csv", wished)
        return CampaignRun(self.settings, order, Console(file=self.shown, force_terminal=terminal, width=100))

    async def tell_ends(self) -> None:
        """The carrier's webhooks, as long as they are wanted."""
        webhooks = Webhooks(self.api.db, self.carrier)
        while True:
            await webhooks.deliver()
            await asyncio.sleep(0.05)


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    settings = api_settings(database_url, tmp_path, port_base=free_port())
    async with open_api(settings) as api:
        key = (await api.key(Role.ADMIN))["Authorization"].removeprefix("Bearer ")
        settings = settings.model_copy(update={"api_key": SecretStr(key)})
        config = uvicorn.Config(api.app, port=settings.ports.api, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve())

        async def started() -> bool:
            return server.started

        await until(started)
        yield Desk(api, settings, LedgerCarrier(tmp_path / "ledger.jsonl"), tmp_path, io.StringIO())
        server.should_exit = True
        await serving


@pytest.mark.parametrize("terminal", [True, False])
async def test_a_file_is_dialed_to_the_end_and_its_results_are_written(desk: Desk, terminal: bool) -> None:
    text = "phone,name\n+12025550110,Ada\n+12025550150,Bo\n12,Cy\n+12025550110,Ada again\n"
    desk.carrier.statuses["+12025550150"] = "busy"
    async with dialing(desk.api.db, desk.carrier), asyncio.TaskGroup() as carrier:
        telling = carrier.create_task(desk.tell_ends())
        summary = await asyncio.wait_for(desk.order(text, terminal=terminal).run(), 30)
        telling.cancel()
    assert summary["status"] == "finished"
    assert summary["import"] == {"rows": 4, "accepted": 2, "rejected": 1, "duplicates": 1}
    assert summary["dispositions"] == {"reached": 1, "busy": 1}
    rows = list(csv.DictReader(io.StringIO((desk.folder / "results.csv").read_text())))
    assert sorted((row["phone"], row["disposition"], row["attempt"]) for row in rows) == [
        ("+12025550110", "reached", "1"),
        ("+12025550150", "busy", "1"),
    ]
    shown = desk.shown.getvalue()
    for part in ("4 rows: 2 accepted, 1 rejected, 1 repeated", "line 4", "repeats line 2", "Finished in", "busy"):
        assert part in shown


async def test_interrupted_it_leaves_the_campaign_running_and_says_how_to_pause(desk: Desk) -> None:
    running = asyncio.create_task(desk.order("phone\n+12025550110\n").run())

    async def watched() -> bool:
        return "waiting" in desk.shown.getvalue()

    await until(watched)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    [campaign_id] = await column(desk.api.db, "select id::text from campaigns where status = 'running'")
    assert f"trunkline campaign pause {campaign_id}" in desk.shown.getvalue()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("email\na@example.com\n", "The first line has: email"),
        ("", "empty"),
        (b"PK\x03\x04 is how a workbook begins", "XLSX"),
    ],
    ids=["no phone column", "empty", "a broken workbook"],
)
async def test_a_file_that_cannot_be_used_is_one_clear_error(desk: Desk, text: str | bytes, says: str) -> None:
    with pytest.raises(ApiRefused) as refused:
        await desk.order(text).run()
    assert says in refused.value.detail
    assert await column(desk.api.db, "select id from campaigns") == []


async def test_a_file_of_only_bad_rows_is_told_row_by_row_and_not_started(desk: Desk) -> None:
    with pytest.raises(NobodyToCall):
        await desk.order("phone\n12\n\nnonsense\n").run()
    assert "line 2" in desk.shown.getvalue()
    assert "line 4" in desk.shown.getvalue()
    assert await column(desk.api.db, "select status from campaigns") == ["draft"]
    assert read_ledger(desk.carrier.path) == []


async def test_a_results_file_that_cannot_be_written_stops_the_command_before_anything_is_made(desk: Desk) -> None:
    run = desk.order("phone\n+12025550110\n", results=desk.folder / "missing" / "results.csv")
    with pytest.raises(ResultsUnwritable, match="No such file or directory"):
        await run.run()
    assert await column(desk.api.db, "select id from campaigns") == []


async def test_without_a_dialer_it_asks_whether_one_runs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "IDLE_SECONDS", 0.5)
    running = asyncio.create_task(desk.order("phone\n+12025550110\n").run())

    async def warned() -> bool:
        return "is the dialer running? trunkline status" in desk.shown.getvalue()

    await until(warned)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_campaign_that_pauses_itself_ends_the_command_and_says_why(desk: Desk) -> None:
    running = asyncio.create_task(desk.order("phone\n+12025550110\n").run())

    async def watched() -> bool:
        return "waiting" in desk.shown.getvalue()

    await until(watched)
    [campaign_id] = await column(desk.api.db, "select id from campaigns where status = 'running'")
    org_id = OrgId(UUID(str(desk.api.org_id)))
    await pause_campaign(desk.api.db, org_id, campaign_id, reason="breaker: 9 of 10 failed")
    summary = await asyncio.wait_for(running, 60)
    assert (summary["status"], summary["pause_reason"]) == ("paused", "breaker: 9 of 10 failed")
    assert "paused: breaker: 9 of 10 failed. 1 wait; go on: trunkline campaign resume" in desk.shown.getvalue()
    assert (desk.folder / "results.csv").exists()


async def test_the_results_can_be_fetched_at_any_time(desk: Desk) -> None:
    running = asyncio.create_task(desk.order("phone\n+12025550110\n").run())

    async def watched() -> bool:
        return "waiting" in desk.shown.getvalue()

    await until(watched)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    [campaign_id] = await column(desk.api.db, "select id::text from campaigns")
    fetched = io.BytesIO()
    async with open_client(desk.settings) as client:
        await copy_results(client, campaign_id, fetched)
        with pytest.raises(ApiRefused, match="no such campaign"):
            await copy_results(client, str(new_id()), fetched)
    assert fetched.getvalue().startswith(b"line,phone,name,")
