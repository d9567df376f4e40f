"""What the proof writes into the rows, and reads out of them, beside the product: SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.clock import utc_now
from app.db import Connection, Database
from app.ids import CampaignId, OrgId, new_id
from tests.prove.fast.judge import Listed
from tests.prove.fast.parts import ASKS_FOR_REMOVAL


@dataclass(frozen=True)
class Books:
    """`contacts`: by status. `still_due`: waiting ones that some dialer should take soon. `open_attempts`: not over."""

    contacts: Mapping[str, int]
    still_due: int
    open_attempts: int

    @property
    def quiet(self) -> bool:
        return not (self.still_due or self.open_attempts or self.contacts.get("in-flight"))


async def read_books(db: Database, *, due_before: datetime) -> Books:
    async with db.system() as connection:
        rows = await connection.fetch("select status, count(*) from contacts group by status")
        due = await connection.fetchval(
            """select count(*) from contacts c join campaigns g on g.id = c.campaign_id
               where c.status = 'waiting' and c.due_at < $1 and g.status = 'running'""",
            due_before,
        )
        still = await connection.fetchval(
            "select count(*) from attempts where status in ('claimed', 'dialing', 'placed', 'uncertain')"
        )
    return Books({row["status"]: row["count"] for row in rows}, due, still)


async def count_settled(db: Database) -> int:
    async with db.system() as connection:
        return await connection.fetchval("select count(*) from attempts where status = 'settled'")


async def list_numbers(
    db: Database, org: OrgId, phones: Sequence[str], campaign: CampaignId | None = None
) -> dict[str, datetime]:
    """Put numbers on the organization's list, or on the campaign's, as an import of a list would. When each was there
    for everybody to see: the transaction is over, which `created_at` is the beginning of."""
    async with db.system() as connection:
        await connection.execute(
            """
            insert into do_not_call (id, org_id, phone, campaign_id, source)
            select i, $2, p, $4, 'import' from unnest($1::uuid[], $3::text[]) u (i, p)
            on conflict on constraint do_not_call_entry do nothing
            """,
            [new_id() for _ in phones],
            org,
            list(phones),
            campaign,
        )
    return dict.fromkeys(phones, utc_now())


async def read_lists(db: Database, names: Mapping[UUID, str], seen_at: Mapping[str, datetime]) -> list[Listed]:
    """Every entry. `names`: of the campaigns. `seen_at`: of `list_numbers`; of the others, only when they were made."""
    async with db.system() as connection:
        rows = await connection.fetch("select phone, created_at, campaign_id, source from do_not_call")
    entries: list[Listed] = []
    for row in rows:
        since: datetime = row["created_at"]
        if row["source"] == "import":
            since = max(since, seen_at.get(row["phone"], since))
        entries.append(Listed(row["phone"], since, names[row["campaign_id"]] if row["campaign_id"] else None))
    return entries


async def read_attempts(db: Database) -> list[tuple[str, str, bool]]:
    """(attempt id, campaign's name, whether its call has the carrier's id) of each attempt that got a call."""
    async with db.system() as connection:
        rows = await connection.fetch(
            """select a.id, g.name, k.carrier_call_id is not null as known
               from attempts a join campaigns g on g.id = a.campaign_id join calls k on k.id = a.call_id"""
        )
    return [(str(row["id"]), row["name"], row["known"]) for row in rows]


async def leave_hints(connection: Connection) -> int:
    """What agents would do: people who ask to be taken off the list are written down as such, while they speak."""
    return await connection.fetchval(
        """
        with asked as (
          update calls set hint = '{"disposition": "do-not-call"}'
          where answered_at is not null and hint = '{}' and to_number ~ $1
            and (ended_at is null or ended_at > now() - interval '5 seconds')
          returning 1
        ) select count(*) from asked
        """,
        ASKS_FOR_REMOVAL,
    )


async def count_unheard(db: Database) -> int:
    """Answered calls of people who asked for removal and are on no list now."""
    async with db.system() as connection:
        return await connection.fetchval(
            """
            select count(*) from calls k join attempts a on a.call_id = k.id
            where k.hint ->> 'disposition' = 'do-not-call' and a.status = 'settled'
              and not exists (select from do_not_call d where d.org_id = k.org_id and d.phone = k.to_number)
            """
        )
