"""Plain rows go in by another way, and come to the same: the same contacts, and the same said of them."""

import io
import itertools
import random

import pytest

from app.db import Connection, Database, Row
from app.ids import CampaignId, OrgId, new_id
from campaigns.campaigns import Plan
from campaigns.creating import create_campaign
from campaigns.gates import store as gate_store
from campaigns.imports.files import csv_rows
from campaigns.imports.importing import import_contacts
from campaigns.imports.opening import Elsewhere, ImportOptions
from campaigns.imports.report import ImportReport
from campaigns.imports.vectors.plain_rows import PlainReader
from campaigns.imports.writing.blocks import LANES
from tests.db.campaign_world import add_team, column, running_campaign

CONTACTS = """
  select line, phone, name, variables::text, status, disposition, finished_at is null, blocked_by, blocked_reason,
    phones, due_at = created_at from contacts where campaign_id = $1 order by line, phone
"""
FAULTS = "select line, ordinal, kind, column_name, value, reason, cells from import_faults order by line, ordinal"


@pytest.fixture
async def ready(db: Database, org: OrgId) -> OrgId:
    await add_team(db, org)
    return org


async def list_number(db: Database, org: OrgId, phone: str) -> None:
    async with db.system() as connection:
        values = (new_id(), org, phone)
        await connection.execute("insert into do_not_call (id, org_id, phone) values ($1, $2, $3)", *values)


def messy_list() -> str:
    """Numbers in many forms, each about three times; bad ones, blank lines, and names that need care."""
    rng = random.Random(20261121)
    rows = ["phone,name,visit"]
    for n in range(150):
        last = f"{rng.randrange(110, 170):04}"
        form = rng.choice(["+1202555{}", "(202) 555-{}", "1 202 555 {}", "202.555.{}", "202/555/{}", "nonsense", ""])
        name = rng.choice(["Ada", "Zoë", '"Bo ""Bob"", Jr"', '"Cy\nEk"', "", "  Di "])
        visit = rng.choice(["a", "ü\\", ""])
        rows.append(f"{form.format(last)},{name},{visit} {n}")
    return "\n".join([*rows, " , ,", "", "+12025550170,x,y"])


async def import_list(db: Database, org: OrgId, name: str, elsewhere: Elsewhere) -> tuple[CampaignId, ImportReport]:
    campaign = (await create_campaign(db, org, Plan(name=name, team="reception"))).id
    before = io.BytesIO(b"phone,name,visit\n2025550125,There,before\n2025550126,There,before\n")
    await import_contacts(db, org, campaign, before)
    async with db.system() as connection:
        await connection.execute("delete from import_faults")
    options = ImportOptions(elsewhere=elsewhere)
    return campaign, await import_contacts(db, org, campaign, io.BytesIO(messy_list().encode()), options=options)


@pytest.mark.parametrize("elsewhere", list(Elsewhere))
async def test_the_quick_way_and_the_long_way_come_to_the_same(
    db: Database, ready: OrgId, monkeypatch: pytest.MonkeyPatch, elsewhere: Elsewhere
) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 400)
    await running_campaign(db, ready, 30)
    for last in range(135, 150):
        await list_number(db, ready, f"+12025550{last}")
    found = []
    for long_way in (False, True):
        if long_way:
            monkeypatch.setattr(PlainReader, "read", lambda *_: None)
        campaign, report = await import_list(db, ready, f"Recall {long_way}", elsewhere)
        async with db.system() as connection:
            rows = [tuple(row) for row in await connection.fetch(CONTACTS, campaign)]
            faults = [tuple(row) for row in await connection.fetch(FAULTS)]
            await connection.execute("delete from import_faults")
        found.append((rows, faults, report))
    assert found[0] == found[1]
    kinds = {fault[2] for fault in found[0][1]}
    assert {"rejected", "duplicate", "blocked"} <= kinds
    assert ("warning" in kinds) == (elsewhere is Elsewhere.WARN)


async def test_a_number_that_comes_in_meanwhile_is_told_and_the_others_go_in(
    db: Database, ready: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = (await create_campaign(db, ready, Plan(name="Recall", team="reception"))).id
    honest, added = gate_store.select_listed, itertools.count()

    async def come_first(connection: Connection, *what: object) -> dict[str, Row]:
        if "+12025550112" in what[2] and next(added) == 0:  # type: ignore[operator]
            async with db.system() as other:
                await other.execute(
                    "insert into contacts (id, org_id, campaign_id, phone) values ($1, $2, $3, '+12025550112')",
                    new_id(),
                    ready,
                    campaign,
                )
        return await honest(connection, *what)  # type: ignore[arg-type]

    monkeypatch.setattr(gate_store, "select_listed", come_first)
    text = "phone\n2025550110\n2025550112\n2025550114\n2025550110\n2025550111\n"
    report = await import_contacts(db, ready, campaign, io.BytesIO(text.encode()))
    assert (report.rows, report.accepted, report.duplicates) == (5, 3, 2)
    assert [(e.line, e.reason) for e in report.errors] == [(3, "in this campaign already"), (5, "repeats line 2")]
    assert await column(db, "select count(*) from contacts") == [4]


async def test_contacts_are_due_in_the_order_of_the_file(db: Database, ready: OrgId) -> None:
    campaign = (await create_campaign(db, ready, Plan(name="Recall", team="reception"))).id
    lasts = random.Random(1).sample(range(110, 190), 60)
    text = "phone\n" + "".join(f"2025550{last}\n" for last in lasts)
    await import_contacts(db, ready, campaign, io.BytesIO(text.encode()))
    for lane in range(LANES):
        lines = await column(
            db, f"select line from contacts where right(phone, 1)::int % {LANES} = {lane} order by due_at, id"
        )
        assert lines == sorted(lines)  # type: ignore[type-var]


async def test_what_a_number_may_look_like_is_what_it_was(db: Database) -> None:
    rng = random.Random(20261121)
    texts = ["", "+", "+1", "+0123456789", "+1234567", "+123456", "+" + "1" * 15, "+" + "1" * 16, "12025550110"]
    texts += ["+1202555011\n", "+1202 555011", "+1+2025550110", "++12025550110", "+1202555\u0661110", "+12025550110 "]
    texts += ["".join(rng.choices("+0123456789 a\n\u0661", (2, *[4] * 10, 1, 1, 1, 1), k=rng.randrange(18)))
              for _ in range(20_000)]  # fmt: skip
    texts += ["+" + "".join(rng.choices("0123456789", k=rng.randrange(18))) for _ in range(20_000)]
    async with db.system() as connection:
        (check,) = await connection.fetchrow(
            "select pg_get_expr(conbin, conrelid) from pg_constraint where conname = 'contacts_phone_check'"
        )
        both = await connection.fetchrow(
            f"""select count(*) filter (where ({check}) is distinct from phone ~ '^\\+[1-9][0-9]{{6,14}}$'),
                       count(*) filter (where ({check})) from unnest($1::text[]) t (phone)""",
            texts,
        )
    assert both[0] == 0
    assert both[1] > 1_000
