"""The SQL of what carriers tell about calls. Every function takes the caller's transaction."""

from uuid import UUID

from app.db import Connection, Row


async def lock_call(connection: Connection, call_id: UUID) -> Row | None:
    """The call, held until the transaction ends: carriers' news come several at a time."""
    return await connection.fetchrow("select * from calls where id = $1 for update", call_id)


async def set_carrier_news(
    connection: Connection, call_id: UUID, *, carrier_call_id: str, carrier_status: str | None, sip_code: int | None
) -> Row | None:
    return await connection.fetchrow(
        """
        update calls set carrier_call_id = $2, carrier_status = coalesce($3, carrier_status),
                         sip_code = coalesce($4, sip_code)
        where id = $1 returning *
        """,
        call_id,
        carrier_call_id,
        carrier_status,
        sip_code,
    )


async def select_call_id_by_carrier_id(connection: Connection, carrier: str, carrier_call_id: str) -> UUID | None:
    return await connection.fetchval(
        "select id from calls where carrier = $1 and carrier_call_id = $2", carrier, carrier_call_id
    )
