"""The SQL of numbers, routes and trunks. Every function takes the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row


async def insert_number(
    connection: Connection,
    *,
    number_id: UUID,
    org_id: UUID,
    e164: str,
    name: str,
    carrier: str,
    trunk_id: UUID | None,
) -> None:
    await connection.execute(
        "insert into numbers (id, org_id, e164, name, carrier, trunk_id) values ($1, $2, $3, $4, $5, $6)",
        number_id,
        org_id,
        e164,
        name,
        carrier,
        trunk_id,
    )


async def select_numbers(
    connection: Connection, org_id: UUID, *, before: tuple[datetime, UUID] | None = None, limit: int | None = None
) -> Sequence[Row]:
    """Newest first, from after `before` on; all of them without a limit."""
    return await connection.fetch(
        """
        select n.*, r.team_id from numbers n left join routes r on r.number_id = n.id
        where n.org_id = $1 and ($2::timestamptz is null or (n.created_at, n.id) < ($2, $3::uuid))
        order by n.created_at desc, n.id desc limit $4
        """,
        org_id,
        before[0] if before else None,
        before[1] if before else None,
        limit,
    )


async def select_number(
    connection: Connection, org_id: UUID, *, e164: str | None = None, number_id: UUID | None = None
) -> Row | None:
    """By number or by id, whichever is given."""
    return await connection.fetchrow(
        """
        select n.*, r.team_id from numbers n left join routes r on r.number_id = n.id
        where n.org_id = $1 and (n.e164 = $2 or n.id = $3)
        """,
        org_id,
        e164,
        number_id,
    )


async def select_sip_numbers(connection: Connection) -> Sequence[Row]:
    """Every SIP number of every organization, with the addresses its trunk may call from (null without a trunk)."""
    return await connection.fetch(
        """
        select n.e164, t.id as trunk_id, t.name as trunk_name, t.allowed_addresses
        from numbers n left join trunks t on t.id = n.trunk_id and t.direction = 'inbound'
        where n.carrier = 'sip' order by n.e164
        """
    )


async def upsert_route(connection: Connection, *, route_id: UUID, org_id: UUID, number_id: UUID, team_id: UUID) -> None:
    await connection.execute(
        """
        insert into routes (id, org_id, number_id, team_id) values ($1, $2, $3, $4)
        on conflict (number_id) do update set team_id = excluded.team_id, kind = 'team'
        """,
        route_id,
        org_id,
        number_id,
        team_id,
    )


async def select_route(connection: Connection, e164: str) -> Row | None:
    return await connection.fetchrow(
        """
        select n.org_id, n.id as number_id, r.team_id, v.id as team_version_id
        from numbers n
          join routes r on r.number_id = n.id
          left join team_versions v on v.team_id = r.team_id and v.status = 'published'
        where n.e164 = $1
        """,
        e164,
    )


_TRUNK = "select id, name, direction, address, username, allowed_addresses, created_at from trunks"
"""All that a request may read: its role has no grant on the sealed password."""


async def insert_trunk(
    connection: Connection,
    *,
    trunk_id: UUID,
    org_id: UUID,
    name: str,
    direction: str,
    allowed_addresses: Sequence[str],
    address: str | None,
    username: str | None,
    password_sealed: bytes | None,
) -> None:
    await connection.execute(
        """
        insert into trunks (id, org_id, name, direction, allowed_addresses, address, username, password_sealed)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        trunk_id,
        org_id,
        name,
        direction,
        list(allowed_addresses),
        address,
        username,
        password_sealed,
    )


async def select_trunks(connection: Connection, org_id: UUID) -> Sequence[Row]:
    return await connection.fetch(f"{_TRUNK} where org_id = $1 order by name", org_id)


async def select_trunk(
    connection: Connection, org_id: UUID, *, trunk_id: UUID | None = None, name: str | None = None
) -> Row | None:
    """By id or by name, whichever is given."""
    return await connection.fetchrow(f"{_TRUNK} where org_id = $1 and (id = $2 or name = $3)", org_id, trunk_id, name)


async def delete_trunk(connection: Connection, org_id: UUID, trunk_id: UUID) -> None:
    await connection.execute("delete from trunks where org_id = $1 and id = $2", org_id, trunk_id)


async def select_outbound_trunks(connection: Connection) -> Sequence[Row]:
    return await connection.fetch("select * from trunks where direction = 'outbound' order by created_at, id")


async def select_trunk_for_number(connection: Connection, org_id: UUID, number_id: UUID) -> Row | None:
    """The outbound trunk of a number: its own if that one dials out, else the organization's oldest that does."""
    return await connection.fetchrow(
        """
        select t.* from trunks t left join numbers n on n.id = $2 and n.trunk_id = t.id
        where t.org_id = $1 and t.direction = 'outbound'
        order by (n.id is not null) desc, t.created_at, t.id limit 1
        """,
        org_id,
        number_id,
    )


async def set_livekit_trunk_id(connection: Connection, trunk_id: UUID, livekit_trunk_id: str) -> None:
    await connection.execute("update trunks set livekit_trunk_id = $2 where id = $1", trunk_id, livekit_trunk_id)
