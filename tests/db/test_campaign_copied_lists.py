"""A copy of a campaign carries the do-not-call list that is the source's own, however many are on it and whenever they
were put there."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest

from app.db import Database
from app.ids import CampaignId, OrgId
from campaigns.campaigns import load_campaign
from campaigns.do_not_call.asking import Source
from campaigns.do_not_call.entries import add_entry
from campaigns.lifecycle.control import finish_campaign, start_campaign
from campaigns.lifecycle.copies import copying, store
from campaigns.lifecycle.copies.copying import begin_copy, finish_copies
from campaigns.lifecycle.redial import plan_like, redial_unreached
from tests.db.campaign_carrier import LedgerCarrier
from tests.db.campaign_world import (
    Webhooks,
    add_team,
    column,
    dialing,
    finish,
    numbers,
    running_campaign,
    until,
)
from tests.db.lifecycle_world import begin, source_of

pytestmark = pytest.mark.db


async def put_on_list(db: Database, org: OrgId, campaign_id: UUID | None, *phones: str) -> None:
    async with db.system() as connection:
        for phone in phones:
            await add_entry(
                connection,
                org,
                phone,
                reason=f"asked {phone[-2:]}",
                campaign_id=CampaignId(campaign_id) if campaign_id else None,
                source=Source.IMPORT,
            )


async def list_of(db: Database, campaign_id: UUID) -> list[tuple[object, ...]]:
    async with db.system() as connection:
        rows = await connection.fetch(
            "select phone, reason, source, created_at from do_not_call where campaign_id = $1 order by phone",
            campaign_id,
        )
    return [tuple(row) for row in rows]


async def phones_of(db: Database, campaign_id: UUID) -> list[object]:
    return [row[0] for row in await list_of(db, campaign_id)]


async def somebody_waits(db: Database) -> None:
    """For a lock that somebody else has."""

    async def waits() -> bool:
        return bool(await column(db, "select 1 from pg_locks where locktype = 'advisory' and not granted"))

    await until(waits)


async def test_a_number_on_the_sources_own_list_is_not_dialed_by_its_redial(
    db: Database, org: OrgId, tmp_path: Path
) -> None:
    await add_team(db, org)
    source = await running_campaign(db, org, 3)
    await finish_campaign(db, org, source.id)
    await put_on_list(db, org, source.id, "+12025550111")
    made = await redial_unreached(db, org, source.id)
    assert made.contacts == 3
    started = await start_campaign(db, org, made.campaign.id)
    carrier = LedgerCarrier(tmp_path / "ledger.jsonl")
    async with dialing(db, carrier):
        await finish(db, started, Webhooks(db, carrier))
    assert numbers(carrier) == {"+12025550110": 1, "+12025550112": 1}
    assert await column(
        db, "select phone || ' ' || blocked_by from contacts where campaign_id = $1 and status = 'blocked'", started.id
    ) == ["+12025550111 do-not-call"]


@pytest.mark.parametrize("at_once", [1, 2, 5, 6])
async def test_every_entry_comes_along_as_it_is_however_many_go_at_once(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(copying, "ENTRIES_AT_ONCE", at_once)
    source, other = await source_of(db, org, 2), (await running_campaign(db, org, 1)).id
    # Of contacts, of their further numbers, and of nobody that is called.
    await put_on_list(db, org, source.id, *(f"+1202555{n}" for n in ("0001", "0199", "0300", "0301", "0302")))
    await put_on_list(db, org, other, "+12025550400")
    await put_on_list(db, org, None, "+12025550500")
    made = await redial_unreached(db, org, source.id)
    assert len(await list_of(db, source.id)) == 5
    assert await list_of(db, made.campaign.id) == await list_of(db, source.id)
    assert await phones_of(db, other) == ["+12025550400"]
    again = await redial_unreached(db, org, (await finish_campaign(db, org, made.campaign.id)).id)
    assert await list_of(db, again.campaign.id) == await list_of(db, source.id)


async def test_an_entry_made_while_the_copy_is_under_way_holds_for_both_and_one_made_later_for_the_source_only(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "AT_ONCE", 2)
    monkeypatch.setattr(copying, "ENTRIES_AT_ONCE", 2)
    source = await source_of(db, org, 5)
    await put_on_list(db, org, source.id, "+12025550003", "+12025550004", "+12025550005")
    begun = await begin(db, source)
    copy_entries, copy_contacts = copying.copy_entries, store.copy_contacts

    async def list_first(*arguments: object, **named: object) -> object:
        if named["after"]:  # a number whose page has gone by
            await put_on_list(db, org, source.id, "+12025550001")
        return await copy_entries(*arguments, **named)  # type: ignore[arg-type]

    async def list_then_contacts(*arguments: object, **named: object) -> object:
        if named["after"]:
            await put_on_list(db, org, source.id, "+12025550002")
        return await copy_contacts(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(copying, "copy_entries", list_first)
    monkeypatch.setattr(store, "copy_contacts", list_then_contacts)
    await finish_copies(db)
    await put_on_list(db, org, source.id, "+12025550006")
    assert await phones_of(db, begun.campaign.id) == [f"+1202555000{n}" for n in (1, 2, 3, 4, 5)]
    assert await phones_of(db, source.id) == [f"+1202555000{n}" for n in (1, 2, 3, 4, 5, 6)]
    await put_on_list(db, org, begun.campaign.id, "+12025550007")
    assert len(await phones_of(db, source.id)) == 6


async def test_a_copy_that_begins_waits_for_entries_that_are_being_made(db: Database, org: OrgId) -> None:
    source = await source_of(db, org, 2)
    async with db.system() as maker:
        await add_entry(maker, org, "+12025550001", reason="", campaign_id=source.id)
        beginning = asyncio.create_task(begin(db, source))
        await somebody_waits(db)
        assert not beginning.done()
    begun = await beginning
    await finish_copies(db)
    assert await phones_of(db, begun.campaign.id) == ["+12025550001"]


async def test_an_entry_that_is_made_while_a_copy_begins_waits_and_is_in_both(db: Database, org: OrgId) -> None:
    source = await source_of(db, org, 2)
    async with db.system() as connection:
        await store.lock_list(connection, source.id)
        making = asyncio.create_task(put_on_list(db, org, source.id, "+12025550001"))
        await somebody_waits(db)
        begun = await begin_copy(connection, source, plan_like(source, "Again"), outcomes=[], lease_seconds=0)
    await making
    assert await phones_of(db, begun.campaign.id) == ["+12025550001"]


async def test_a_copy_that_dies_over_a_long_list_again_and_again_is_not_given_up_as_long_as_it_comes_further(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "ENTRIES_AT_ONCE", 1)
    monkeypatch.setattr(copying, "MOST_TRIES", 2)
    source = await source_of(db, org, 1)
    await put_on_list(db, org, source.id, *(f"+1202555{n}" for n in range(1000, 1006)))
    begun = await begin(db, source)
    copy_entries, calls = copying.copy_entries, 0

    async def every_second_dies(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls % 2 == 0:
            raise ConnectionResetError
        return await copy_entries(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(copying, "copy_entries", every_second_dies)
    for _ in range(6):
        with pytest.raises(ConnectionResetError):
            await finish_copies(db)
    await finish_copies(db)
    assert len(await phones_of(db, begun.campaign.id)) == 6
    assert not (await load_campaign(db, org, begun.campaign.id)).copying
