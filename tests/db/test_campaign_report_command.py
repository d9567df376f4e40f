"""`trunkline campaign watch`, `report`, `results`, `evidence`, `trunkline webhooks` against the real api."""

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from pydantic import SecretStr
from rich.console import Console
from typer.testing import CliRunner

from app.auth.principal import Role
from app.console.campaigns.report import follow, save_answer, watch_campaign
from app.console.campaigns.results import ResultsUnwritable
from app.console.client import ApiRefused, open_client
from app.console.webhooks import webhooks
from app.ids import AttemptId, CampaignId, new_id
from app.settings import Settings
from campaigns.outcomes.events import AttemptEvent, CampaignEventKind, record_attempt_events
from tests.conftest import free_port
from tests.db.api_world import Api, api_settings, open_api, until
from tests.db.event_reader import read_events
from tests.db.outcome_world import add_attempt, add_campaign, add_contacts, run

pytestmark = pytest.mark.db


@dataclass
class Desk:
    api: Api
    settings: Settings
    campaign: CampaignId
    attempt: AttemptId

    async def finish(self) -> None:
        async with self.api.db.system() as connection:
            await connection.execute("update campaigns set status = 'finished' where id = $1", self.campaign)


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """A campaign with one settled attempt of two contacts, and an api on a real socket."""
    settings = api_settings(database_url, tmp_path, port_base=free_port())
    async with open_api(settings) as api:
        async with api.db.system() as connection:
            campaign = await add_campaign(connection, api.org_id)
            contacts = await add_contacts(connection, api.org_id, campaign, 2)
            attempt, _ = await add_attempt(connection, api.org_id, campaign, contacts[0], "confirmed")
        await run(api.db, campaign)
        key = (await api.key(Role.ADMIN))["Authorization"].removeprefix("Bearer ")
        config = uvicorn.Config(api.app, port=settings.ports.api, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve())

        async def started() -> bool:
            return server.started

        await until(started)
        settings = settings.model_copy(update={"api_key": SecretStr(key)})
        yield Desk(api, settings, campaign, AttemptId(attempt))
        api.state.live.close()
        server.should_exit = True
        await serving


@pytest.mark.parametrize("terminal", [True, False])
async def test_a_campaign_is_watched_until_it_is_finished(desk: Desk, terminal: bool) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=100)
    watching = asyncio.create_task(watch_campaign(desk.settings, str(desk.campaign), console, as_events=False))

    async def seen() -> bool:
        return "waiting" in shown.getvalue()

    await until(seen)
    await desk.finish()
    await asyncio.wait_for(watching, 10)
    for part in ("confirmed", "100% answered", "finished"):
        assert part in shown.getvalue()


def lines_of(shown: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shown.getvalue().splitlines()]


async def tell_settled(desk: Desk, n: int) -> None:
    event = AttemptEvent(desk.api.org_id, desk.campaign, CampaignEventKind.ATTEMPT_SETTLED, data={"n": n})
    async with desk.api.db.system() as connection:
        await record_attempt_events(connection, [event])


async def test_events_are_watched_until_the_last_one_came_however_long_it_is_held_back(desk: Desk) -> None:
    shown, counts = io.StringIO(), io.StringIO()
    ids = (desk.settings, str(desk.campaign))
    watching = asyncio.create_task(watch_campaign(*ids, Console(file=shown), as_events=True))
    counting = asyncio.create_task(watch_campaign(*ids, Console(file=counts), as_events=False))

    async def seen() -> bool:
        return '"status": "running"' in shown.getvalue() and bool(counts.getvalue())

    async def finished() -> bool:
        return '"status": "finished"' in shown.getvalue()

    await until(seen)
    async with desk.api.db.system() as other:
        await other.fetchval("select pg_current_xact_id()")  # a transaction that writes, somewhere
        await tell_settled(desk, 1)
        await desk.finish()
        await until(finished)
        await asyncio.wait_for(counting, 10)  # who wants no events waits for none
        done, _ = await asyncio.wait([watching], timeout=2)
        assert not done
        assert "attempt.settled" not in shown.getvalue()
    await asyncio.wait_for(watching, 10)
    kinds = [line.get("kind", "progress") for line in lines_of(shown)]
    assert kinds[-3:] == ["attempt.settled", "campaign.finished", "progress"]
    assert [line["complete"] for line in lines_of(shown) if "complete" in line][-2:] == [False, True]


async def test_who_comes_after_the_end_is_told_so_and_goes(desk: Desk) -> None:
    await desk.finish()
    async with desk.api.db.system() as connection:
        await connection.execute("delete from campaign_events")  # as those of long ago are
    shown = io.StringIO()
    await asyncio.wait_for(watch_campaign(desk.settings, str(desk.campaign), Console(file=shown), as_events=True), 10)
    assert [line.get("complete") for line in lines_of(shown)] == [None, True]


async def test_who_goes_on_after_the_last_event_is_told_that_it_was_the_last(desk: Desk) -> None:
    async with open_client(desk.settings) as client, asyncio.timeout(20):
        path, last = f"/campaigns/{desk.campaign}/events", ""
        async with client.stream("GET", path) as answer:
            await desk.finish()
            async for event in read_events(answer):
                last = event.id or last
                if event.kind == "campaign.finished":
                    break
        async with client.stream("GET", path, headers={"Last-Event-ID": last}) as answer:
            events = read_events(answer)
            assert (await anext(events)).kind == "stream.ready"
            progress = await anext(events)
    assert (progress.kind, progress.data["complete"]) == ("progress", True)


async def test_events_go_on_after_the_last_one_when_the_stream_breaks(desk: Desk) -> None:
    found: list[int] = []
    async with open_client(desk.settings) as client, asyncio.timeout(20):
        async for kind, data in follow(client, str(desk.campaign)):
            if kind == "progress" and not found:
                await tell_settled(desk, 1)
            if kind == "attempt.settled":
                found.append(data["data"]["n"])
                if len(found) == 2:
                    break
                # Every stream is told to end; what comes meanwhile is not lost.
                for readers in desk.api.state.live._readers.values():
                    for reader in readers:
                        reader.closed = True
                await tell_settled(desk, 2)
    assert found == [1, 2]


async def test_results_report_and_evidence_are_written_to_files(desk: Desk, tmp_path: Path) -> None:
    path = f"/campaigns/{desk.campaign}"
    table, page, proof = (tmp_path / name for name in ("contacts.csv", "report.html", "evidence.json"))
    await save_answer(desk.settings, f"{path}/results", table, {"rows": "contacts", "format": "csv"})
    assert [row["status"] for row in csv.DictReader(io.StringIO(table.read_text()))] == ["finished", "waiting"]
    await save_answer(desk.settings, f"{path}/report", page)
    assert page.read_text().startswith("<!doctype html>")
    await save_answer(desk.settings, f"{path}/attempts/{desk.attempt}/evidence", proof)
    assert json.loads(proof.read_text())["attempt"]["disposition"] == "confirmed"
    with pytest.raises(ResultsUnwritable):
        await save_answer(desk.settings, f"{path}/report", tmp_path / "nowhere" / "report.html")
    with pytest.raises(ApiRefused, match="no such campaign"):
        await save_answer(desk.settings, f"/campaigns/{new_id()}/report", page)


async def test_webhooks_are_kept_from_the_command_line(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "load", classmethod(lambda _cls: desk.settings))
    runner = CliRunner()

    async def type_in(*words: str) -> str:
        done = await asyncio.to_thread(runner.invoke, webhooks, list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    made = await type_in("add", "https://hooks.example/t", "--event", "attempt.settled")
    found = re.search(r"^(\S+) https://", made, re.MULTILINE)
    assert found is not None
    endpoint = found[1]
    assert "secret: whsec_" in made
    assert "attempt.settled" in await type_in("list")
    assert "on its way" in await type_in("test", endpoint)
    assert "webhook.test" in await type_in("log", endpoint)
    rotated = re.search(r"secret: (whsec_\S+)", await type_in("rotate", endpoint))
    assert rotated is not None
    assert rotated[1] not in made
    assert "not told" in await type_in("off", endpoint)
    assert "is told" in await type_in("on", endpoint)
    assert "removed" in await type_in("remove", endpoint)
