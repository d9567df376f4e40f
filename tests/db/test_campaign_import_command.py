"""`trunkline campaign import` against the real api."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from pydantic import SecretStr
from rich.console import Console
from typer.testing import CliRunner

from app.auth.principal import Role
from app.console.campaigns.commands import campaign as commands
from app.console.campaigns.importing import (
    SUMMARY,
    BadMapping,
    ImportFailed,
    ImportOrder,
    NoCampaignNamed,
    bring_in,
    look_at,
    read_mapping,
)
from app.console.client import ApiRefused
from app.settings import Settings
from tests.conftest import free_port
from tests.db.api_world import Api, api_settings, open_api

MESSY = "Who,Mobile,Note\nAda,(202) 555-0110,x\nBo,12,=1+1\nAda,+12025550110,y\n"


@dataclass
class Desk:
    api: Api
    settings: Settings
    folder: Path
    console: Console

    def file(self, text: str | bytes = MESSY) -> Path:
        path = self.folder / "recall.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    port = free_port()
    settings = api_settings(database_url, tmp_path, port_base=port)
    async with open_api(settings) as api:
        config = uvicorn.Config(api.app, port=port, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        key = (await api.key(Role.SUPERVISOR))["Authorization"].removeprefix("Bearer ")
        mine = settings.model_copy(update={"api_key": SecretStr(key)})
        with (tmp_path / "screen.txt").open("w") as screen:
            yield Desk(api, mine, tmp_path, Console(file=screen, width=120))
        server.should_exit = True
        await serving


def screen(desk: Desk) -> str:
    desk.console.file.flush()
    return (desk.folder / "screen.txt").read_text()


async def test_a_file_becomes_a_draft_and_its_bad_rows_a_file_to_mend(desk: Desk) -> None:
    bad = desk.folder / "bad.csv"
    order = ImportOrder(
        desk.file(), name="Recall", team="reception", columns={"name": "Who", "visit": "note"}, rejected=bad
    )
    summary = await bring_in(desk.settings, order, desk.console)
    assert tuple(summary) == (*SUMMARY, "import_id")
    assert [summary[k] for k in ("rows", "accepted", "rejected", "duplicates", "warnings")] == [3, 1, 1, 1, []]
    with bad.open(newline="") as file:
        assert [row[:3] for row in csv.reader(file)] == [["Who", "Mobile", "Note"], ["Bo", "12", "'=1+1"]]
    assert "3 rows: 1 accepted, 1 rejected, 1 repeated." in screen(desk)
    async with desk.api.db.system() as connection:
        row = await connection.fetchrow("select name, variables, campaign_id from contacts")
    assert (row["name"], row["variables"], str(row["campaign_id"])) == ("Ada", {"visit": "x"}, summary["campaign_id"])


async def test_more_contacts_come_into_a_campaign_that_is_there(desk: Desk) -> None:
    first = await bring_in(desk.settings, ImportOrder(desk.file(), name="Recall", team="reception"), desk.console)
    order = ImportOrder(desk.file("phone\n+12025550110\n+12025550119\n"), campaign=first["campaign_id"])
    second = await bring_in(desk.settings, order, desk.console)
    assert second["campaign_id"] == first["campaign_id"]
    assert (second["accepted"], second["duplicates"]) == (1, 1)


async def test_a_preview_shows_the_columns_and_makes_nothing(desk: Desk) -> None:
    seen = await look_at(desk.settings, ImportOrder(desk.file(), team="reception"), desk.console)
    assert seen["mapping"]["phone"] == "Mobile"
    shown = screen(desk)
    assert "Read as csv utf-8 ,, numbers as of US. Of 3 rows 1 would go in." in shown
    assert "+12025550110" in shown
    async with desk.api.db.system() as connection:
        assert await connection.fetchval("select count(*) from campaigns") == 0


async def test_a_file_that_cannot_be_read_leaves_no_campaign(desk: Desk) -> None:
    with pytest.raises(ApiRefused, match="No column with phone numbers"):
        await bring_in(desk.settings, ImportOrder(desk.file("a,b\n1,2\n"), team="reception"), desk.console)
    async with desk.api.db.system() as connection:
        assert await connection.fetchval("select count(*) from campaigns") == 0


async def test_a_file_that_breaks_further_down_says_what_is_in(desk: Desk) -> None:
    text = "phone\n" + "".join(f"+1202555{n:04}\n" for n in range(110, 120)) + '"' + "x" * 200_000
    with pytest.raises(ImportFailed, match="10 contacts before that are in"):
        await bring_in(desk.settings, ImportOrder(desk.file(text), name="R", team="reception"), desk.console)


async def test_without_campaign_and_team_nothing_is_sent(desk: Desk) -> None:
    with pytest.raises(NoCampaignNamed, match="--team"):
        await bring_in(desk.settings, ImportOrder(desk.file()), desk.console)


async def test_the_command_ends_with_one_line_of_json(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "load", classmethod(lambda _: desk.settings))
    arguments = ["import", str(desk.file()), "--team", "reception", "--map", "name=Who", "--json"]
    # A thread of its own: the command runs its own event loop, and the api is in this one.
    result = await asyncio.to_thread(CliRunner().invoke, commands, arguments)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout.strip().splitlines()[-1])
    assert {"rows", "accepted", "rejected", "duplicates", "warnings", "campaign_id"} <= set(summary)


async def test_what_was_imported_is_listed_and_shown_after_the_command_ended(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "load", classmethod(lambda _: desk.settings))
    order = ImportOrder(desk.file(), name="Recall", team="reception")
    sent = [await bring_in(desk.settings, order, desk.console) for _ in range(2)]

    async def type_words(*words: str) -> str:
        typed = await asyncio.to_thread(CliRunner().invoke, commands, list(words))
        assert typed.exit_code == 0, typed.output
        return typed.stdout

    listed = await type_words("imports")
    assert all(one["import_id"] in listed for one in sent)
    page = json.loads((await type_words("imports", "--limit", "1", "--json")).splitlines()[-1])
    assert [one["id"] for one in page["data"]] == [sent[1]["import_id"]]
    assert sent[0]["import_id"] in await type_words("imports", "--cursor", page["next_cursor"])
    assert sent[1]["import_id"] not in await type_words("imports", "--campaign", str(sent[0]["campaign_id"]))
    bad = desk.folder / "mend.csv"
    shown = await type_words("show-import", sent[0]["import_id"], "--rejected", str(bad))
    assert all(words in shown for words in ("recall.csv into campaign", "finished", "1 rejected, 1 repeated."))
    assert "import_reason" in bad.read_text()


def test_a_mapping_that_says_nothing_is_refused() -> None:
    assert read_mapping(["phone=Mobile", "a = b=c"]) == {"phone": "Mobile", "a": "b=c"}
    for bad in ("phone", "=Mobile", "phone="):
        with pytest.raises(BadMapping, match="TARGET=COLUMN"):
            read_mapping([bad])
