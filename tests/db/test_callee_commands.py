"""`trunkline contacts` and `trunkline dnc` against the real api."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
import uvicorn
from pydantic import SecretStr
from rich.console import Console
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from app.auth.principal import Role
from app.console.callees.contacts import NobodyThere, ask_why, contacts, describe_why, list_contacts
from app.console.callees.do_not_call import dnc
from app.console.campaigns.options import BadOption
from app.console.client import ApiRefused
from app.console.dialing_rules import rules
from app.console.webhooks import webhooks
from app.settings import Settings
from tests.conftest import free_port
from tests.db.api_world import Api, api_settings, open_api, until
from tests.db.gate_world import PHONE, add_campaign, add_contact

pytestmark = pytest.mark.db


@dataclass
class Desk:
    """A terminal beside a running api."""

    api: Api
    settings: Settings
    folder: Path

    async def type(self, commands: typer.Typer, *words: str) -> Result:
        """What the command printed; it runs in a thread, as a process of its own would."""
        with capture_logs():  # the api's, which runs in this process too
            return await asyncio.to_thread(CliRunner().invoke, commands, words, catch_exceptions=False)


@pytest.fixture
async def desk(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    settings = api_settings(database_url, tmp_path, port_base=free_port())
    async with open_api(settings) as api:
        key = (await api.key(Role.ADMIN))["Authorization"].removeprefix("Bearer ")
        settings = settings.model_copy(update={"api_key": SecretStr(key)})
        load: Callable[[], Settings] = lambda: settings  # noqa: E731
        monkeypatch.setattr(Settings, "load", load)
        server = uvicorn.Server(uvicorn.Config(api.app, port=settings.ports.api, lifespan="off", log_config=None))
        serving = asyncio.create_task(server._serve())

        async def started() -> bool:
            return server.started

        await until(started)
        yield Desk(api, settings, tmp_path)
        server.should_exit = True
        await serving


async def test_why_tells_each_campaign_that_has_the_number(desk: Desk) -> None:
    org = desk.api.org_id
    one = await add_contact(desk.api.db, org, await add_campaign(desk.api.db, org, calling={"defaults": False}))
    other = await add_contact(desk.api.db, org, await add_campaign(desk.api.db, org, status="paused"), name="Ada")
    both, more = await ask_why(desk.settings, "(202) 555-0110")
    assert not more
    assert [answer["contact"]["id"] for answer in both] == [str(other.contact_id), str(one.contact_id)]
    [alone], _ = await ask_why(desk.settings, str(one.contact_id))
    assert alone["verdicts"] == both[1]["verdicts"]
    [there], _ = await ask_why(desk.settings, PHONE, str(one.campaign_id))
    assert there["contact"]["id"] == str(one.contact_id)
    shown = io.StringIO()
    Console(file=shown, width=200).print(describe_why(both[0]))
    for part in (
        "+12025550110 Ada",
        "the campaign is paused",
        "calling-hours",
        "zone America/New_York",
        "not before the campaign is started",
    ):
        assert part in shown.getvalue()


async def test_why_finds_a_number_in_an_old_campaign_and_says_where_there_is_more(desk: Desk) -> None:
    org, made = desk.api.org_id, []
    for n in range(4):
        one = await add_contact(
            desk.api.db, org, await add_campaign(desk.api.db, org), created_at=datetime(2026, 11, 1 + n, tzinfo=UTC)
        )
        made.append(one)
    [oldest], more = await ask_why(desk.settings, PHONE, str(made[0].campaign_id), limit=1)
    assert (oldest["contact"]["id"], more) == (str(made[0].contact_id), False)
    some = await desk.type(contacts, "why", PHONE, "--json", "--limit", "3")
    assert [json.loads(line)["contact"]["id"] for line in some.stdout.splitlines()] == [
        str(one.contact_id) for one in made[:0:-1]
    ]
    assert "More contacts have the number +12025550110" in some.stderr
    assert "More" not in (await desk.type(contacts, "why", PHONE, "--limit", "4")).stderr


async def test_why_finds_a_further_number_that_was_never_dialed(desk: Desk) -> None:
    phones = [PHONE, "+12025550118"]
    one = await add_contact(
        desk.api.db, desk.api.org_id, await add_campaign(desk.api.db, desk.api.org_id), phones=phones
    )
    [answer], _ = await ask_why(desk.settings, "(202) 555-0118")
    assert answer["contact"]["id"] == str(one.contact_id)


async def test_why_of_nobody_says_so(desk: Desk) -> None:
    with pytest.raises(NobodyThere, match=r"\+12025550177"):
        await ask_why(desk.settings, "+12025550177")
    with pytest.raises(ApiRefused, match="no such contact"):
        await ask_why(desk.settings, "0199f2a4-6f0e-7c60-9d0b-000000000030")


async def test_why_as_json_is_one_line_a_contact(desk: Desk) -> None:
    await add_contact(desk.api.db, desk.api.org_id, await add_campaign(desk.api.db, desk.api.org_id))
    printed = await desk.type(contacts, "why", PHONE, "--json")
    [line] = printed.stdout.splitlines()
    assert len(json.loads(line)["verdicts"]) == 8


async def test_the_contacts_of_a_campaign_are_listed_over_many_pages(desk: Desk) -> None:
    campaign = await add_campaign(desk.api.db, desk.api.org_id)
    async with desk.api.db.system() as connection:
        await connection.execute(
            """
            insert into contacts (id, org_id, campaign_id, phone)
            select gen_random_uuid(), $1, $2, '+1202555' || to_char(n, 'FM0000') from generate_series(1, 450) n
            """,
            desk.api.org_id,
            campaign,
        )
    found = await list_contacts(desk.settings, str(campaign), None, 1000)
    assert [one["next_phone"] for one in found] == [f"+1202555{n:04d}" for n in range(1, 451)]
    assert len(await list_contacts(desk.settings, str(campaign), "waiting", 250)) == 250
    assert "+12025550003" in (await desk.type(contacts, "list", "--campaign", str(campaign), "--limit", "3")).stdout


async def test_in_a_pipe_no_cell_is_cut_and_json_is_a_line_a_contact(desk: Desk) -> None:
    name = "Ada Augusta Byron King, Countess of Lovelace, " * 6
    one = await add_contact(desk.api.db, desk.api.org_id, await add_campaign(desk.api.db, desk.api.org_id), name=name)
    [_, row] = (await desk.type(contacts, "list", "--campaign", str(one.campaign_id))).stdout.splitlines()
    for part in (str(one.contact_id), "+12025550110", "waiting", name.strip()):
        assert part in row
    [line] = (await desk.type(contacts, "list", "--campaign", str(one.campaign_id), "--json")).stdout.splitlines()
    assert json.loads(line)["name"] == name
    told = (await desk.type(contacts, "why", str(one.contact_id))).stdout.splitlines()
    assert [line for line in told if "calling-hours" in line and "America/New_York" in line]


async def test_a_contact_is_changed_and_taken_out_with_a_reason(desk: Desk) -> None:
    campaign = await add_campaign(desk.api.db, desk.api.org_id)
    one = str(
        (await add_contact(desk.api.db, desk.api.org_id, campaign, variables={"day": "May", "a": "b"})).contact_id
    )
    words = ("--zone", "America/Chicago", "--callback-at", "2099-01-01T10:00", "--var", "day=June 1", "--var", "a=")
    edited = json.loads((await desk.type(contacts, "edit", one, *words, "--json")).stdout)
    assert (edited["time_zone"], edited["variables"]) == ("America/Chicago", {"day": "June 1"})
    assert edited["callback_at"] == edited["due_at"] > "2098"
    assert (
        "time zone: America/Chicago, day: June 1"
        in (await desk.type(contacts, "edit", one, "--callback-at", "now")).stdout
    )
    told = (await desk.type(contacts, "remove", one, "--reason", "asked by mail")).stdout
    assert "blocked by hand: asked by mail" in told
    with pytest.raises(ApiRefused, match="only one that waits"):
        await desk.type(contacts, "remove", one)
    with pytest.raises(BadOption, match="NAME=VALUE"):
        await desk.type(contacts, "edit", one, "--var", "day")


async def test_a_contact_is_added_to_a_campaign_that_runs_and_is_called_by_it(desk: Desk) -> None:
    campaign = str(await add_campaign(desk.api.db, desk.api.org_id, calling={"defaults": False}))
    words = ("--phone", "(202) 555-0118", "--phone", "202 555 0119", "--name", "Ada Bell", "--time-zone")
    more = (
        "America/Chicago",
        "--variable",
        "day=June 1",
        "--var",
        "room=2=b",
        "--consent-at",
        "2026-03-01T00:00+00:00",
    )
    added = await desk.type(contacts, "add", campaign, *words, *more, "--json")
    assert (added.exit_code, json.loads(added.stdout)["accepted"]) == (0, 1)
    [answer], _ = await ask_why(desk.settings, "+12025550119", campaign)
    there = answer["contact"]
    assert (there["phones"], there["name"]) == (["+12025550118", "+12025550119"], "Ada Bell")
    assert (there["time_zone"], there["variables"]) == ("America/Chicago", {"day": "June 1", "room": "2=b"})
    assert there["consent_at"] == "2026-03-01T00:00:00Z"
    assert answer["summary"] == "called as soon as a line is free"


async def test_who_cannot_be_added_is_told_why(desk: Desk) -> None:
    campaign = str(await add_campaign(desk.api.db, desk.api.org_id))

    async def add(*words: str) -> tuple[int, str]:
        done = await desk.type(contacts, "add", campaign, *words)
        return done.exit_code, done.stdout

    assert await add("--phone", PHONE) == (0, "+12025550110 is in.\n")
    assert await add("--phone", PHONE) == (
        1,
        "+12025550110 was not added.\nphone +12025550110: in this campaign already\n",
    )
    code, told = await add("--phone", "12")
    assert code == 1
    assert told.startswith("12 was not added.\nphone 12: ")
    code, told = await add("--phone", "+12025550117", "--time-zone", "Atlantis")
    assert code == 1
    assert "time_zone Atlantis: no time zone; write it like America/New_York" in told
    await desk.type(dnc, "add", "+12025550116")
    code, told = await add("--phone", "+12025550116")
    assert (code, told.splitlines()) == (
        0,
        ["+12025550116 is in, and blocked.", "phone +12025550116: on the do-not-call list: never dialed"],
    )
    with pytest.raises(BadOption, match="no time"):
        await add("--phone", PHONE, "--consent-at", "soon")
    with pytest.raises(BadOption, match="NAME=VALUE"):
        await add("--phone", PHONE, "--variable", "day")
    with pytest.raises(ApiRefused, match="elsewhere"):
        await add("--phone", PHONE, "--elsewhere", "perhaps")
    async with desk.api.db.system() as connection:
        await connection.execute("update campaigns set status = 'finished'")
    with pytest.raises(ApiRefused, match="finished"):
        await add("--phone", "+12025550118")


async def test_every_command_of_the_list_tells_programs_json(desk: Desk) -> None:
    added = json.loads((await desk.type(dnc, "add", PHONE, "--reason", "asked", "--json")).stdout)
    assert (added["phone"], added["reason"]) == (PHONE, "asked")
    assert json.loads((await desk.type(dnc, "list", "--json")).stdout) == added
    assert json.loads((await desk.type(dnc, "remove", PHONE, "--json")).stdout) == added
    checked = json.loads((await desk.type(rules, "check", PHONE, "--json")).stdout)
    assert (checked["to"], checked["allowed"]) == (PHONE, True)


async def test_a_number_that_is_no_number_names_no_other_address(desk: Desk) -> None:
    for wrong in ("../teams", "x/y", "?"):
        with pytest.raises(ApiRefused):
            await desk.type(dnc, "remove", wrong)


async def test_webhooks_are_told_to_programs_as_json(desk: Desk) -> None:
    made = json.loads((await desk.type(webhooks, "add", "https://crm.example.com/hooks", "--json")).stdout)
    assert made["secret"].startswith("whsec_")
    [listed] = json.loads((await desk.type(webhooks, "list", "--json")).stdout)
    assert listed["id"] == made["id"]
    off = json.loads((await desk.type(webhooks, "off", made["id"], "--json")).stdout)
    assert not off["enabled"]
    assert json.loads((await desk.type(webhooks, "log", made["id"], "--json")).stdout)["data"] == []
    assert json.loads((await desk.type(webhooks, "remove", made["id"], "--json")).stdout)["id"] == made["id"]


async def test_a_number_is_added_listed_and_removed(desk: Desk) -> None:
    assert "+12025550110 is not dialed" in (await desk.type(dnc, "add", "202 555 0110", "--reason", "=1+1")).stdout
    lines = (await desk.type(dnc, "list")).stdout.splitlines()
    assert lines[0] == "phone,reason,source,created_at"
    assert lines[1].startswith("+12025550110,'=1+1,api,")
    assert "may be dialed again" in (await desk.type(dnc, "remove", PHONE)).stdout
    assert len((await desk.type(dnc, "list")).stdout.splitlines()) == 1


async def test_a_file_is_imported_with_its_bad_rows_told(desk: Desk) -> None:
    file = desk.folder / "list.csv"
    file.write_text("phone\n+12025550110\n12\n+12025550110\n")
    told = (await desk.type(dnc, "import", str(file))).stdout
    assert "3 rows: 1 added, 1 known, 1 rejected" in told
    assert "line 3: '12'" in told
    again = await desk.type(dnc, "import", str(file), "--json")
    assert json.loads(again.stdout)["added"] == 0


async def test_the_secret_of_vetoes_is_shown_to_admins(desk: Desk) -> None:
    assert (await desk.type(dnc, "secret")).stdout.startswith("whsec_")
