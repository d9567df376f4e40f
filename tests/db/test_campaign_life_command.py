"""`trunkline campaign create|preflight|start|…|schedule` typed at a terminal, against the real api."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from pydantic import SecretStr
from typer.testing import CliRunner

from app.auth.principal import Role
from app.console.campaigns import life, options
from app.console.campaigns.commands import campaign
from app.console.campaigns.options import BadOption
from app.console.client import ApiRefused, NotAnId
from app.errors import TrunklineError
from app.ids import CampaignId, OrgId
from app.settings import Settings
from tests.conftest import free_port
from tests.db.api_world import Api, api_settings, open_api, until
from tests.db.outcome_world import add_contacts


@dataclass
class Terminal:
    api: Api

    async def type(self, *words: str) -> str:
        """What it shows. Raises the command's own error."""
        typed = await asyncio.to_thread(CliRunner().invoke, campaign, list(words), env={"COLUMNS": "200"})
        if isinstance(typed.exception, TrunklineError):
            raise typed.exception
        assert typed.exit_code in (0, 1), typed.output
        return typed.stdout

    async def ask(self, *words: str) -> Any:
        """What it answers with --json."""
        # The api runs in this process too, and logs to the same stream.
        return json.loads((await self.type(*words, "--json")).splitlines()[-1])

    async def add_contacts(self, campaign_id: str, count: int) -> None:
        async with self.api.db.system() as connection:
            await add_contacts(connection, OrgId(self.api.org_id), CampaignId(campaign_id), count)  # type: ignore[arg-type]


@pytest.fixture
async def terminal(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Terminal]:
    settings = api_settings(database_url, tmp_path, port_base=free_port())
    async with open_api(settings) as api:
        key = (await api.key(Role.ADMIN))["Authorization"].removeprefix("Bearer ")
        settings = settings.model_copy(update={"api_key": SecretStr(key)})
        monkeypatch.setattr(Settings, "load", classmethod(lambda _: settings))
        config = uvicorn.Config(api.app, port=settings.ports.api, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve())

        async def started() -> bool:
            return server.started

        await until(started)
        yield Terminal(api)
        server.should_exit = True
        await serving


pytestmark = pytest.mark.db


async def test_a_campaign_is_led_from_draft_to_its_end(terminal: Terminal) -> None:
    made = await terminal.ask(
        "create", "Recall", "--team", "reception", "--set", "canary.contacts=2", "--priority", "3"
    )
    assert (made["status"], made["priority"], made["settings"]["canary"]) == ("draft", 3, {"contacts": 2})
    which = made["id"]
    with pytest.raises(life.NotReady, match="nobody is left to call"):
        await terminal.type("start", which)
    await terminal.add_contacts(which, 3)
    edited = await terminal.ask("edit", which, "--calls-per-second", "2.5", "--set", "calling.defaults=false")
    assert (edited["calls_per_second"], edited["priority"]) == (2.5, 3)
    shown = await terminal.type("preflight", which)
    assert "✓  team" in shown
    assert "America/New_York" in shown
    assert "Forecast: " in shown
    assert "running (canary)" in await terminal.type("start", which)
    assert "dialing: 0 dialed" in await terminal.type("canary", which)
    assert "running" in await terminal.type("canary", which, "--pass")
    assert "Recall" in await terminal.type("list")
    assert "2.5 calls/s" in await terminal.type("show", which)
    assert "paused" in await terminal.type("pause", which)
    assert (await terminal.ask("resume", which))["status"] == "running"
    assert "finished (stopped)" in await terminal.type("finish", which)
    redial = await terminal.ask("redial", which, "--name", "Again")
    assert (redial["contacts"], redial["campaign"]["name"]) == (3, "Again")


async def test_campaigns_are_listed_by_status_and_name_page_by_page_and_drafts_deleted(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [await terminal.ask("create", name, "--team", "reception") for name in ("Recall", "Survey", "Recall II")]
    await terminal.add_contacts(made[0]["id"], 3)
    await terminal.type("start", made[0]["id"], "--force")
    monkeypatch.setattr(life, "PAGE", 2)
    listed = await terminal.ask("list")
    assert [row["name"] for row in listed["data"]] == ["Recall II", "Survey", "Recall"]
    assert listed["next_cursor"] is None
    first = await terminal.ask("list", "--limit", "2")
    rest = await terminal.type("list", "--limit", "1", "--cursor", first["next_cursor"])
    assert "Recall " in rest
    assert "0 of 3 done" in rest
    assert "--cursor" in await terminal.type("list", "--limit", "1")
    drafts = await terminal.ask("list", "--status", "draft", "--name", "recall")
    assert [row["name"] for row in drafts["data"]] == ["Recall II"]
    with pytest.raises(ApiRefused, match="draft"):
        await terminal.type("list", "--status", "nope")
    assert "deleted" in await terminal.type("delete", made[2]["id"])
    assert "No such campaign" in await terminal.type("list", "--name", "II")
    with pytest.raises(ApiRefused, match="only a draft"):
        await terminal.type("delete", made[0]["id"])


async def test_what_is_no_id_reaches_no_other_address(terminal: Terminal) -> None:
    for words in (("show", ""), ("show", "../teams"), ("pause", "x"), ("report", "x/results"), ("evidence", "x", "y")):
        with pytest.raises(NotAnId):
            await terminal.type(*words)


async def test_settings_come_from_a_file_and_the_command_line_wins(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(
        "retry: {max_attempts: 2, outcomes: {busy: {delays_seconds: [60]}}}\ndeadline_at: 2099-01-01T00:00:00Z\n"
    )
    words = ("create", "Recall", "--team", "reception", "--settings", str(file), "--set", "retry.max_attempts=5")
    made = await terminal.ask(*words)
    assert (made["retry"]["max_attempts"], list(made["retry"]["outcomes"])) == (5, ["busy"])
    assert made["deadline_at"] == "2099-01-01T00:00:00Z"


async def test_schedules_and_single_calls_are_made_listed_and_taken_back(terminal: Terminal) -> None:
    made = await terminal.ask("create", "Recall", "--team", "reception")
    words = ("schedule", "add", made["id"], "--cron", "0 9 * * mon", "--zone", "America/New_York", "--name", "Mondays")
    schedule = await terminal.ask(*words)
    assert "Mondays" in await terminal.type("schedule", "list")
    assert " off " in await terminal.type("schedule", "off", schedule["id"])
    assert "OUTCOME" in await terminal.type("schedule", "runs", schedule["id"])
    assert "removed" in await terminal.type("schedule", "remove", schedule["id"])
    words = (
        "schedule",
        "call",
        "+12025550142",
        "--team",
        "reception",
        "--at",
        "2099-01-01T10:00",
        "--var",
        "day=Monday",
    )
    call = await terminal.ask(*words)
    assert call["status"] == "scheduled"
    assert "+12025550142" in await terminal.type("schedule", "calls")
    assert "finished" in await terminal.type("schedule", "cancel", call["id"])


def test_a_setting_that_cannot_be_read_says_how_to_write_it() -> None:
    for wrong in ("retry", "=1", "retry.=1"):
        with pytest.raises(BadOption, match="NAME=VALUE"):
            options.put({}, wrong)
    with pytest.raises(BadOption, match="no time"):
        options.read_instant("soon")
    with pytest.raises(BadOption, match="value already"):
        options.gather(sets=["name.x=1"], name="Recall")


def test_values_are_json_where_they_can_be_and_text_where_not() -> None:
    body: dict[str, Any] = {}
    for text in ("a.b=1", "a.c=[1,2]", "d=false", "e=New York", "f="):
        options.put(body, text)
    assert body == {"a": {"b": 1, "c": [1, 2]}, "d": False, "e": "New York", "f": ""}
