"""What the judge of the engine's proofs goes by: the carrier's ledger on disk, and a watch on finished rows."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from app.db import Database, Row
from app.ids import CampaignId, OrgId, new_id
from campaigns.campaigns import Plan
from campaigns.creating import create_campaign
from campaigns.lifecycle.control import start_campaign
from campaigns.rules.retries import RetryRule
from tests.db.campaign_carrier import Dialed, Ledger
from tests.prove.fast.crowd import AREA_CODES
from tests.prove.world import CALLER_ID

WATCH = """
create table public.broken_ends (attempt_id uuid, was text, becomes text, by text, at timestamptz default now());
create function public.watch_ends() returns trigger language plpgsql as $$
begin
  insert into public.broken_ends (attempt_id, was, becomes, by)
  values (old.id, old.status, new.status, current_setting('application_name'));
  return null;
end $$;
create trigger watch_ends after update on public.attempts for each row
  when (old.status in ('settled', 'released') or (
    old.fence = new.fence and new.status not in ('settled', 'released')
    and old.dialer <> current_setting('application_name')
  )) execute function public.watch_ends();
"""
"""Whatever is written over an attempt that is over is a stale write; and so is a step of one that is on its way, unless
it is its dialer's or takes it over, with a new fence. Whoever sees a call's end may settle it."""

TOLD = """
update calls k set carrier_call_id = n.sid, status = 'no-answer', end_result = 'no-answer', end_reason = 'no_answer',
                   end_at_fault = 'callee', ended_at = now()
from unnest($1::uuid[], $2::text[]) n (id, sid) where k.id = n.id and k.ended_at is null
"""


@dataclass
class Judged(Ledger):
    """The carrier's file, and what is wrong with it."""

    def repeats(self, *, times: int = 1) -> int:
        """Dials too many: second ones of an attempt, or of a number that is to be dialed so many times."""
        attempts = Counter(one.attempt_id for one in self.dials)
        numbers = Counter(one.to for one in self.dials)
        return max(
            sum(count - 1 for count in attempts.values()), sum(max(0, count - times) for count in numbers.values())
        )

    def missing(self, people: int, *, times: int = 1) -> int:
        """Dials too few, where each of so many people is to be dialed so many times."""
        numbers = Counter(one.to for one in self.dials)
        return times * (people - len(numbers)) + sum(max(0, times - count) for count in numbers.values())


@dataclass
class JudgedJournal(Judged):
    """The same by the simulated carrier's journal."""

    def read_line(self, line: bytes) -> Dialed | None:
        if b'"kind":"call.created"' not in line:
            return None
        told = json.loads(line)
        asked = urlsplit(told["url"])
        (attempt,) = parse_qs(asked.query).get("attempt", [""])
        call_id, at = asked.path.rpartition("/")[2], datetime.fromisoformat(told["at"])
        return Dialed(told["call_sid"], told["to"], told["from_number"], call_id, attempt, at)


MOST_PEOPLE = 100 * len(AREA_CODES) - 1


def people(count: int) -> list[str]:
    """Fictional numbers, all different: 555-0100 to 555-0199 of many area codes."""
    numbers = [f"+1{code}55501{last:02}" for code in AREA_CODES for last in range(100)]
    # An organization never dials its own.
    numbers.remove(CALLER_ID)
    if count > len(numbers):
        raise ValueError(f"there are {len(numbers)} fictional numbers")
    return numbers[:count]


async def start_crowd(
    db: Database, org: OrgId, count: int, *, calls_per_second: float, max_concurrent: int, times: int = 1
) -> CampaignId:
    """A running campaign that dials each of `count` contacts so many times, at any hour, as none of them answers."""
    plan = Plan(
        name="Crowd",
        team="reception",
        calls_per_second=calls_per_second,
        max_concurrent=max_concurrent,
        retry=RetryRule.uniform(times, 0.0),
        ring_timeout_seconds=15,
    )
    campaign = await create_campaign(db, org, plan)
    async with db.system() as connection:
        await connection.execute(
            "update campaigns set calling = $2 where id = $1", campaign.id, {"defaults": False, "holidays": "open"}
        )
    await add_people(db, org, campaign.id, people(count))
    await start_campaign(db, org, campaign.id)
    return campaign.id


async def add_people(db: Database, org: OrgId, campaign_id: CampaignId, phones: list[str]) -> None:
    async with db.system() as connection:
        await connection.executemany(
            "insert into contacts (id, org_id, campaign_id, phone, phones) values ($1, $2, $3, $4, array[$4])",
            [(new_id(), org, campaign_id, phone) for phone in phones],
        )


async def open_attempts(db: Database) -> list[Row]:
    """(id, status, dialer, over, free): whether its call has ended, and whether it holds no slot."""
    async with db.system() as connection:
        return await connection.fetch(
            """
            select a.id, a.status, a.dialer, k.ended_at is not null as over,
                   a.status = 'uncertain' and a.absent_at is not null as free
            from attempts a left join calls k on k.id = a.call_id
            where a.status in ('claimed', 'dialing', 'placed', 'uncertain')
            """
        )


async def watch_ends(db: Database) -> None:
    async with db.system() as connection:
        await connection.execute(WATCH)


async def count_broken_ends(db: Database) -> int:
    async with db.system() as connection:
        return await connection.fetchval("select count(*) from broken_ends")


async def tell(db: Database, dials: list[Dialed]) -> None:
    """The carrier tells that nobody answered these."""
    if dials:
        async with db.system() as connection:
            await connection.execute(TOLD, [UUID(one.call_id) for one in dials], [one.sid for one in dials])


async def count_contacts(db: Database, campaign_id: CampaignId) -> Counter[str]:
    async with db.system() as connection:
        rows = await connection.fetch(
            "select status, count(*) as n from contacts where campaign_id = $1 group by status", campaign_id
        )
    return Counter({row["status"]: row["n"] for row in rows})


async def hurry(db: Database, campaign_id: CampaignId) -> None:
    """Whoever is put off is due now."""
    async with db.system() as connection:
        await connection.execute(
            "update contacts set due_at = now() where campaign_id = $1 and status = 'waiting' and due_at > now()",
            campaign_id,
        )


async def holders(db: Database) -> set[str]:
    """The dialers that by the rows have something in hand."""
    async with db.system() as connection:
        rows = await connection.fetch("select distinct dialer from attempts where status in ('claimed', 'dialing')")
    return {row["dialer"] for row in rows}


async def present(db: Database) -> set[str]:
    """The dialers that ever said that they live, and did not withdraw."""
    async with db.system() as connection:
        return {row["name"] for row in await connection.fetch("select name from dialers")}
