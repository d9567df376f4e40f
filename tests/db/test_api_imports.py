"""Files of contacts over REST: looked at, imported, watched, mended; and contacts added one by one."""

import csv
import io
import json
from typing import Any
from uuid import uuid4

import asyncpg
import httpx

from app.auth.principal import Role
from campaigns.imports.files.mended import ABOUT
from campaigns.outcomes.tables import neutralize_formula
from tests.db.api_world import Api, assert_problem, until

API = "/api/v1"
MESSY = (
    "Full Name;Mobile;Home phone;Appt Time;Opt-in date;Zone\n"
    "Ada Bell;(202) 555-0110;;Tuesday;2026-03-01;America/New_York\n"
    "Bo Diaz;202-555-0111;+1 202 555 0112;=cmd|'/c calc'!A1;;\n"
    "Cy Ek;12;;Friday;;\n"
    "Di Fox;2025550113;;Friday;03/04/2026;\n"
    "Ada Bell;+12025550110;;Tuesday;;\n"
).encode("cp1252")
WISHES = {"columns": json.dumps({"consent_at": "Opt-in date", "time_zone": "Zone"})}


async def draft(api: Api, headers: dict[str, str]) -> str:
    made = await api.client.post(f"{API}/campaigns", headers=headers, json={"name": "Recall", "team": "reception"})
    assert made.status_code == 201, made.text
    campaign_id: str = made.json()["id"]
    return campaign_id


async def send(api: Api, headers: dict[str, str], path: str, file: bytes = MESSY, **fields: Any) -> httpx.Response:
    return await api.client.post(
        f"{API}/{path}", headers=headers, data=fields, files={"file": ("contacts.csv", file, "text/csv")}
    )


async def finished(api: Api, headers: dict[str, str], import_id: str) -> dict[str, Any]:
    document: dict[str, Any] = {}

    async def over() -> bool:
        document.update((await api.client.get(f"{API}/imports/{import_id}", headers=headers)).json())
        return document["status"] != "running"

    await until(over)
    return document


async def contacts(api: Api, campaign_id: str) -> list[asyncpg.Record]:
    async with api.db.system() as connection:
        return await connection.fetch("select * from contacts where campaign_id = $1 order by line", campaign_id)


async def test_a_preview_shows_what_was_guessed_and_keeps_nothing(api: Api) -> None:
    headers = await api.key(Role.SUPERVISOR)
    seen = (await send(api, headers, "import-previews", team="reception")).json()
    assert seen["dialect"] == {"format": "csv", "encoding": "utf-8", "delimiter": ";", "sheet": ""}
    assert seen["mapping"] == {
        "phone": "Mobile",
        "phone2": "Home phone",
        "name": "Full Name",
        "time_zone": "Zone",
        "consent_at": "Opt-in date",
        "Appt Time": "Appt Time",
    }
    assert (seen["checked"], seen["good"]) == (5, 2)
    assert seen["contacts"][1]["phones"] == ["+12025550111", "+12025550112"]
    assert [(f["line"], f["column"]) for f in seen["faults"]] == [(4, "Mobile"), (5, "Opt-in date"), (6, "Mobile")]
    changed = await send(
        api,
        headers,
        "import-previews",
        columns=json.dumps({"phone": "Home phone", "visit": "Appt Time"}),
        ignore=json.dumps(["Mobile"]),
    )
    assert changed.json()["mapping"]["visit"] == "Appt Time"
    assert changed.json()["ignored"] == ["Mobile"]
    async with api.db.system() as connection:
        assert await connection.fetchval("select count(*) from imports") == 0


async def test_a_preview_counts_no_repeat_among_what_would_go_in(api: Api) -> None:
    text = b"phone,name\n2025550110,Ada\n2025550111,Bo\n(202) 555-0110,Ada again\n12,Cy\n"
    seen = (await send(api, await api.key(), "import-previews", file=text, team="reception")).json()
    assert (seen["checked"], seen["good"]) == (4, 2)
    assert [contact["name"] for contact in seen["contacts"]] == ["Ada", "Bo"]
    told = [(f["line"], f["kind"], f["value"]) for f in seen["faults"]]
    assert told == [(4, "duplicate", "(202) 555-0110"), (5, "rejected", "12")]


async def test_a_preview_tells_what_the_teams_texts_will_miss(api: Api) -> None:
    definition = {
        "variables": {"appointment": "soon", "first_name": "", "appt_time": "", "unused": ""},
        "agents": [{"instructions": "Say {{ appointment }} to {{ first_name }} at {{appt_time}}."}],
    }
    async with api.db.system() as connection:
        await connection.execute("update team_versions set definition = $1", definition)
    seen = (await send(api, await api.key(), "import-previews", team="reception")).json()
    assert seen["mapping"]["appt_time"] == "Appt Time"
    assert sorted(seen["warnings"]) == [
        'The team\'s texts use {{ appointment }}, and no column brings it: "soon" is said instead.',
        "The team's texts use {{ first_name }}, and no column brings it: nothing is said there.",
    ]


async def test_an_import_is_accepted_watched_and_its_bad_rows_come_back_to_be_mended(api: Api) -> None:
    headers = await api.key(Role.SUPERVISOR)
    campaign_id = await draft(api, headers)
    taken = await send(api, headers, "imports", campaign_id=campaign_id, **WISHES)
    assert taken.status_code == 202, taken.text
    done = await finished(api, headers, taken.json()["id"])
    assert done["status"] == "finished"
    assert [done[k] for k in ("rows", "accepted", "rejected", "duplicates")] == [5, 2, 2, 1]
    rows = await contacts(api, campaign_id)
    assert [(r["phone"], r["phones"], r["time_zone"]) for r in rows] == [
        ("+12025550110", [], "America/New_York"),
        ("+12025550111", ["+12025550111", "+12025550112"], None),
    ]
    assert rows[0]["consent_at"].isoformat() == "2026-03-01T00:00:00+00:00"
    assert rows[1]["variables"] == {"Appt Time": "=cmd|'/c calc'!A1"}

    faults = (await api.client.get(f"{API}/imports/{done['id']}/faults?limit=2", headers=headers)).json()
    assert [(f["line"], f["kind"]) for f in faults["data"]] == [(4, "rejected"), (5, "rejected")]
    more = await api.client.get(
        f"{API}/imports/{done['id']}/faults?limit=2&cursor={faults['next_cursor']}", headers=headers
    )
    assert [(f["line"], f["kind"], f["reason"]) for f in more.json()["data"]] == [(6, "duplicate", "repeats line 2")]

    bad = await api.client.get(f"{API}/imports/{done['id']}/rejected", headers=headers)
    assert bad.headers["content-type"].startswith("text/csv")
    table = list(csv.reader(io.StringIO(bad.text)))
    assert table[0][-3:] == ["import_line", "import_column", "import_reason"]
    assert [row[0] for row in table[1:]] == ["Cy Ek", "Di Fox"]
    mended = bad.text.replace(",12,", ",202 555 0114,").replace("03/04/2026", "2026-03-04").encode()
    again = await send(api, headers, "imports", file=mended, campaign_id=campaign_id, **WISHES)
    assert (await finished(api, headers, again.json()["id"]))["accepted"] == 2
    assert all("import_line" not in row["variables"] for row in await contacts(api, campaign_id))
    listed = (await api.client.get(f"{API}/imports?campaign_id={campaign_id}", headers=headers)).json()
    assert [one["id"] for one in listed["data"]] == [again.json()["id"], done["id"]]


async def test_bad_rows_come_back_without_formulas_that_a_spreadsheet_would_run(api: Api) -> None:
    headers = await api.key()
    campaign_id = await draft(api, headers)
    file = b'phone,note\n12,=1+1\n13,"@SUM(A1)"\n14,"\t=x"\n+12025550110,-\n'
    done = await finished(
        api, headers, (await send(api, headers, "imports", file, campaign_id=campaign_id)).json()["id"]
    )
    bad = await api.client.get(f"{API}/imports/{done['id']}/rejected", headers=headers)
    notes = [row[1] for row in csv.reader(io.StringIO(bad.text))]
    assert notes == ["note", "'=1+1", "'@SUM(A1)", "'\t=x"]


ODD = ["=1+1", "-20.00", "+1 (202) 5", "@SUM(A1)", "\t=x", "'=1", "''-20", "'tis", "+12025550177", "'", "plain", '=","']
"""Cells that a spreadsheet would run, such that look like what we make of them, and others."""


async def test_bad_rows_come_back_as_they_were_once_they_are_mended(api: Api) -> None:
    headers = await api.key()
    campaign_id = await draft(api, headers)
    names = ["phone", *(f"{cell.strip()}!{n}" for n, cell in enumerate(ODD))]
    file = io.StringIO()
    csv.writer(file).writerows([names, ["12", *ODD], ["13", *ODD]])
    sent, text = file.getvalue(), ""
    # Twice bad: what goes out a second time is no different.
    for _ in range(2):
        taken = await send(api, headers, "imports", sent.encode(), campaign_id=campaign_id)
        done = await finished(api, headers, taken.json()["id"])
        assert (done["rejected"], {*done["mapping"].values()}) == (2, {*names})
        text = (await api.client.get(f"{API}/imports/{done['id']}/rejected", headers=headers)).text
        assert next(csv.reader(io.StringIO(text)))[-3:] == [*ABOUT]
        for row in csv.reader(io.StringIO(text)):
            assert len(row) == len(names) + 3
            assert [neutralize_formula(cell) for cell in row] == row
        sent = text
    mended = text.replace("12,", "+12025550110,", 1).replace("13,", "+12025550111,", 1).encode()
    taken = await send(api, headers, "imports", mended, campaign_id=campaign_id)
    assert (await finished(api, headers, taken.json()["id"]))["accepted"] == 2
    for row in await contacts(api, campaign_id):
        assert row["variables"] == {name: cell.strip() for name, cell in zip(names[1:], ODD, strict=True)}


async def test_the_same_key_imports_a_file_once_and_refuses_another_file(api: Api) -> None:
    headers = await api.key() | {"Idempotency-Key": "import-1"}
    campaign_id = await draft(api, await api.key())
    first = await send(api, headers, "imports", campaign_id=campaign_id)
    second = await send(api, headers, "imports", campaign_id=campaign_id)
    assert first.json()["id"] == second.json()["id"]
    other = await send(api, headers, "imports", b"phone\n+12025550119\n", campaign_id=campaign_id)
    assert_problem(other, 409, "idempotency_key_reused")
    await finished(api, headers, first.json()["id"])


async def test_a_file_that_breaks_further_down_says_so_and_keeps_what_was_good(api: Api) -> None:
    headers = await api.key()
    campaign_id = await draft(api, headers)
    good = b"".join(b'+1202555%04d,"x"\n' % n for n in range(102, 200))
    file = b"phone,note\n" + good + b'+12025550101,"' + b"y" * 2_500_000
    taken = await send(api, headers, "imports", file, campaign_id=campaign_id)
    done = await finished(api, headers, taken.json()["id"])
    assert done["status"] == "failed"
    assert done["error"].startswith("Line 100 is longer than")
    assert len(await contacts(api, campaign_id)) == 98


async def test_what_cannot_be_imported_is_refused_at_once(api: Api) -> None:
    headers = await api.key()
    campaign_id = await draft(api, headers)
    cases: list[tuple[bytes, dict[str, str], int, str]] = [
        (b"", {"campaign_id": campaign_id}, 422, "empty_file"),
        (b"email\na@example.com\n", {"campaign_id": campaign_id}, 422, "no_phone_column"),
        (b"\x1f\x8b\x08", {"campaign_id": campaign_id}, 422, "unknown_format"),
        (MESSY, {"campaign_id": campaign_id, "region": "ZZ"}, 422, "invalid_input"),
        (MESSY, {"campaign_id": campaign_id, "encoding": "klingon"}, 422, "unknown_format"),
        (MESSY, {"campaign_id": campaign_id, "columns": '{"phone": "Fax"}'}, 422, "no_such_column"),
        (MESSY, {"campaign_id": campaign_id, "columns": "phone"}, 422, "invalid_input"),
        (MESSY, {}, 422, "invalid_input"),
        (MESSY, {"campaign_id": str(uuid4())}, 404, "campaign_not_found"),
    ]
    for file, fields, status, code in cases:
        assert_problem(await send(api, headers, "imports", file, **fields), status, code)
    missing = await api.client.post(f"{API}/imports", headers=headers, data={"campaign_id": campaign_id})
    assert_problem(missing, 422, "invalid_input")
    unknown = await send(api, headers, "import-previews", MESSY, campaign_id=campaign_id, region="usa")
    assert "USA is not the ISO 3166 code of a country" in unknown.json()["errors"][0]["message"]
    assert (await send(api, headers, "import-previews", MESSY, campaign_id=campaign_id, region="us")).status_code == 200


async def test_a_viewer_imports_nothing_and_another_organization_sees_nothing(api: Api) -> None:
    headers = await api.key()
    campaign_id = await draft(api, headers)
    taken = (await send(api, headers, "imports", campaign_id=campaign_id)).json()
    await finished(api, headers, taken["id"])
    viewer = await api.key(Role.VIEWER)
    assert_problem(await send(api, viewer, "imports", campaign_id=campaign_id), 403, "forbidden")
    assert (await api.client.get(f"{API}/imports/{taken['id']}", headers=viewer)).status_code == 200
    stranger = await api.key(org_id=await api.other_organization())
    for path in ("", "/faults", "/rejected"):
        answer = await api.client.get(f"{API}/imports/{taken['id']}{path}", headers=stranger)
        assert_problem(answer, 404, "import_not_found")
    assert_problem(await send(api, stranger, "imports", campaign_id=campaign_id), 404, "campaign_not_found")


async def test_contacts_are_added_to_a_running_campaign_and_the_same_key_adds_them_once(api: Api) -> None:
    headers = await api.key(Role.SUPERVISOR)
    campaign_id = await draft(api, headers)
    body: dict[str, Any] = {
        "contacts": [
            {"phones": ["202 555 0110", "x"], "name": "Ada", "variables": {"day": "Monday", "visits": 3}},
            {"phones": ["+1 202 555 0110"], "name": "Ada again"},
            {"phones": ["12"]},
            {"phones": ["+12025550111"], "time_zone": "Mars/Phobos"},
            {"phones": ["+12025550112"], "time_zone": "america/new_york", "consent_source": "web form"},
        ]
    }
    path = f"{API}/campaigns/{campaign_id}/contacts"
    keyed = headers | {"Idempotency-Key": "rows-1"}
    first = await api.client.post(path, headers=keyed, json=body)
    assert first.status_code == 200, first.text
    assert [first.json()[k] for k in ("rows", "accepted", "rejected", "duplicates", "warned")] == [5, 2, 2, 1, 1]
    assert [(e["line"], e["kind"]) for e in first.json()["errors"]] == [
        (1, "warning"),
        (2, "duplicate"),
        (3, "rejected"),
        (4, "rejected"),
    ]
    again = await api.client.post(path, headers=keyed, json=body)
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    rows = await contacts(api, campaign_id)
    assert [(r["phone"], r["name"], r["time_zone"], r["variables"]) for r in rows] == [
        ("+12025550110", "Ada", None, {"day": "Monday", "visits": 3}),
        ("+12025550112", None, "America/New_York", {}),
    ]
    other = await api.client.post(path, headers=keyed, json={"contacts": [{"phones": ["+12025550119"]}]})
    assert_problem(other, 409, "idempotency_key_reused")
    async with api.db.system() as connection:
        await connection.execute("update campaigns set status = 'running'")
    late = await api.client.post(path, headers=headers, json={"contacts": [{"phones": ["+12025550114"]}]})
    assert late.json()["accepted"] == 1
    async with api.db.system() as connection:
        await connection.execute("update campaigns set status = 'finished'")
    assert_problem(await api.client.post(path, headers=headers, json=body), 409, "campaign_state")


async def test_a_further_number_that_is_anothers_own_is_told_of_given_contacts_too(api: Api) -> None:
    headers = await api.key()
    path = f"{API}/campaigns/{await draft(api, headers)}/contacts"
    await api.client.post(path, headers=headers, json={"contacts": [{"phones": ["+12025550110"]}]})
    given = [{"phones": ["+12025550111", "202 555 0110"]}, {"phones": ["+12025550110", "+12025550111"]}]
    added = (await api.client.post(path, headers=headers, json={"contacts": given})).json()
    assert (added["accepted"], added["duplicates"], added["warned"]) == (1, 1, 1)
    told = [(e["line"], e["kind"], e["column"], e["value"]) for e in added["errors"]]
    assert told == [(1, "warning", "phone2", "202 555 0110"), (2, "duplicate", "phone", "+12025550110")]


async def test_numbers_that_wait_in_another_running_campaign_are_told_or_left_out(api: Api) -> None:
    headers = await api.key()
    first, second, third = [await draft(api, headers) for _ in range(3)]
    body = {"contacts": [{"phones": ["+12025550110"]}, {"phones": ["+12025550111"]}]}
    await api.client.post(f"{API}/campaigns/{first}/contacts", headers=headers, json={"contacts": body["contacts"][:1]})
    async with api.db.system() as connection:
        await connection.execute("update campaigns set status = 'running' where id = $1", first)
    warned = (await api.client.post(f"{API}/campaigns/{second}/contacts", headers=headers, json=body)).json()
    assert [warned[k] for k in ("accepted", "warned")] == [2, 1]
    assert warned["errors"][0]["reason"] == 'waits in the campaign "Recall" too'
    file = b"phone\n+12025550110\n+12025550111\n"
    taken = await send(api, headers, "imports", file, campaign_id=third, elsewhere="skip")
    done = await finished(api, headers, taken.json()["id"])
    assert [done[k] for k in ("rows", "accepted", "duplicates")] == [2, 1, 1]


async def test_a_further_number_that_waits_elsewhere_is_told_and_leaves_nobody_out(api: Api) -> None:
    headers = await api.key()
    first, second = [await draft(api, headers) for _ in range(2)]
    given = [{"phones": ["+12025550110"]}]
    await api.client.post(f"{API}/campaigns/{first}/contacts", headers=headers, json={"contacts": given})
    async with api.db.system() as connection:
        await connection.execute("update campaigns set status = 'running' where id = $1", first)
    given = [{"phones": ["+12025550111", "202 555 0110"]}, {"phones": ["+12025550110", "+12025550112"]}]
    body = {"contacts": given, "elsewhere": "skip"}
    added = (await api.client.post(f"{API}/campaigns/{second}/contacts", headers=headers, json=body)).json()
    assert [added[k] for k in ("accepted", "duplicates", "warned")] == [1, 1, 1]
    told = [(e["line"], e["kind"], e["column"], e["value"]) for e in added["errors"]]
    assert told == [(1, "warning", "phone2", "202 555 0110"), (2, "duplicate", "phone", "+12025550110")]
