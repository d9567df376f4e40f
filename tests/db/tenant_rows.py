"""One row of every tenant table, for row-level security to be tried on.

A new tenant table needs a builder here: `test_row_level_security` fails until it has one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from app.auth.principal import Role
from app.db import Connection

Row = dict[str, Any]
NOW = "2026-11-20T17:39:00Z"


@dataclass
class Tenant:
    """An organization with a row in every table: `rows[table]`, which later rows refer to."""

    org_id: str = field(default_factory=lambda: str(uuid4()))
    rows: dict[str, Row] = field(default_factory=dict)

    def id_of(self, table: str) -> str:
        return str(self.rows[table]["id"])


def _phone() -> str:
    return f"+1202555{uuid4().int % 10_000:04d}{uuid4().int % 10_000:04d}"


def _id() -> str:
    return str(uuid4())


BUILDERS: Mapping[str, Callable[[Tenant], Row]] = {
    "members": lambda t: {"user_id": t.rows["users"]["id"], "role": "viewer"},
    "api_keys": lambda t: {
        "id": _id(),
        "name": "key",
        "prefix": "tl_abc",
        "hash": f"\\x{uuid4().hex}",
        "role": "viewer",
        "scopes": ["calls:read"],
    },
    "trunks": lambda t: {"id": _id(), "name": _id(), "direction": "inbound", "allowed_addresses": []},
    "numbers": lambda t: {"id": _id(), "e164": _phone(), "name": "", "carrier": "sip"},
    "teams": lambda t: {"id": _id(), "slug": f"team-{uuid4().hex[:8]}", "name": "Team"},
    "team_versions": lambda t: {
        "id": _id(),
        "team_id": t.id_of("teams"),
        "version": uuid4().int % 10**8 + 1,
        "status": "draft",
        "definition": {},
        "source": "",
    },
    "routes": lambda t: {
        "id": _id(),
        "number_id": t.id_of("numbers"),
        "kind": "team",
        "team_id": t.id_of("teams"),
    },
    "calls": lambda t: {
        "id": _id(),
        "channel": "phone",
        "direction": "inbound",
        "status": "queued",
        "room_name": _id(),
        "variables": {},
        "hint": {},
        "rescues": 0,
    },
    "legs": lambda t: {"id": _id(), "call_id": t.id_of("calls"), "kind": "sip", "identity": _id(), "joined_at": NOW},
    "call_events": lambda t: {
        "id": uuid4().int % 10**12,
        "tx": "1",
        "call_id": t.id_of("calls"),
        "kind": "call.opened",
        "data": {},
        "at": NOW,
    },
    "turns": lambda t: {
        "id": _id(),
        "call_id": t.id_of("calls"),
        "role": "agent",
        "text": "Hello",
        "interrupted": False,
        "latency_ms": {},
        "started_at": NOW,
    },
    "recordings": lambda t: {
        "id": _id(),
        "call_id": t.id_of("calls"),
        "path": "a.wav",
        "format": "wav",
        "channels": 2,
        "sample_rate": 8000,
        "started_at": NOW,
    },
    "evaluations": lambda t: {
        "call_id": t.id_of("calls"),
        "score": 0.5,
        "reason": "",
        "judge": "rules",
        "criteria": [],
    },
    "evaluations_due": lambda t: {"call_id": t.id_of("calls"), "tries": 0, "lease_until": NOW},
    "idempotency_keys": lambda t: {"key": _id(), "request_hash": "\\x00", "call_id": t.id_of("calls")},
    "campaigns": lambda t: {
        "id": _id(),
        "name": "Campaign",
        "team_id": t.id_of("teams"),
        "from_number_id": t.id_of("numbers"),
        "status": "draft",
        "kind": "list",
        "ends_when_done": True,
        "max_concurrent": 1,
        "calls_per_second": 1,
        "retry": {},
        "ring_timeout_seconds": 30,
        "next_dial_at": NOW,
        "import_report": {},
    },
    "contacts": lambda t: {
        "id": _id(),
        "campaign_id": t.id_of("campaigns"),
        "phone": _phone(),
        "variables": {},
        "status": "waiting",
        "due_at": NOW,
        "attempts_made": 0,
    },
    "attempts": lambda t: {
        "id": _id(),
        "campaign_id": t.id_of("campaigns"),
        "contact_id": t.id_of("contacts"),
        "ordinal": 1,
        "status": "settled",
        "dialer": "d",
        "fence": 1,
        "lease_until": NOW,
        "claimed_at": NOW,
    },
    "schedules": lambda t: {
        "id": _id(),
        "name": "Weekly",
        "campaign_id": t.id_of("campaigns"),
        "action": "copy",
        "cron": "0 9 * * mon",
        "time_zone": "UTC",
        "missed": "once",
        "enabled": True,
    },
    "campaign_copies": lambda t: {
        "id": _id(),
        "campaign_id": t.id_of("campaigns"),
        "source_id": t.id_of("campaigns"),
        "contacts": 1,
        "position": "",
        "list_position": "",
        "with_waiting": False,
        "starts": False,
        "fence": 1,
        "stuck": 0,
        "lease_until": NOW,
    },
    "schedule_runs": lambda t: {
        "id": _id(),
        "schedule_id": t.id_of("schedules"),
        "planned_at": f"2026-11-20T17:39:{uuid4().int % 60:02d}.{uuid4().int % 10**6:06d}Z",
        "outcome": "done",
        "detail": "",
    },
    "lanes": lambda t: {"key": f"number:{_id()}", "calls_per_second": 1, "next_dial_at": NOW},
    "imports": lambda t: {
        "id": _id(),
        "campaign_id": t.id_of("campaigns"),
        "file_name": "contacts.csv",
        "bytes": 1,
        "sha256": "0" * 64,
        "status": "finished",
        "dialect": {},
        "columns": {},
        "options": {},
        "warnings": [],
    },
    "import_parts": lambda t: {"import_id": t.id_of("imports"), "ordinal": uuid4().int % 10**8, "data": "\\x00"},
    "import_lanes": lambda t: {
        "import_id": t.id_of("imports"),
        "lane": uuid4().int % 10**8,
        "position": {},
        "fence": 1,
        "lease_until": NOW,
        "accepted": 0,
        "rejected": 0,
        "duplicates": 0,
        "blocked": 0,
        "warned": 0,
    },
    "import_faults": lambda t: {
        "import_id": t.id_of("imports"),
        "line": uuid4().int % 10**8,
        "ordinal": 0,
        "kind": "rejected",
        "column_name": "phone",
        "value": "12",
        "reason": "too short",
        "cells": ["12"],
    },
    "do_not_call": lambda t: {"id": _id(), "phone": _phone(), "reason": ""},
    "campaign_events": lambda t: {
        "id": uuid4().int % 10**12,
        "tx": "1",
        "campaign_id": t.id_of("campaigns"),
        "kind": "campaign.started",
        "data": {},
        "at": NOW,
    },
    "campaign_counts": lambda t: {
        "id": uuid4().int % 10**12,
        "campaign_id": t.id_of("campaigns"),
        "what": "contacts",
        "status": "waiting",
        "dialed": False,
        "count": 1,
    },
    "operators": lambda t: {
        "id": _id(),
        "name": _id(),
        "state": "offline",
        "since": NOW,
        "beat_at": NOW,
        "wrap_up_seconds": 15,
        "missed": 0,
    },
    "floor_calls": lambda t: {
        "call_id": _id(),
        "campaign_id": t.id_of("campaigns"),
        "outcome": "gone",
        "ring_seconds": 5,
        "answered_at": NOW,
    },
    "floor_days": lambda t: {
        "campaign_id": t.id_of("campaigns"),
        "day": f"{2000 + uuid4().int % 7000}-11-20",
        "answered": 1,
        "abandoned": 0,
    },
    "dialing_rules": lambda t: {"id": _id(), "rules": {}},
    "dial_counts": lambda t: {"key": f"{uuid4().int % 10**8}", "bucket": NOW, "dials": 1},
    "dial_charges": lambda t: {
        "call_id": _id(),
        "day": NOW[:10],
        "currency": "USD",
        "rate": 850,
        "charged": 2550,
        "settled": False,
        "charged_at": NOW,
    },
    "dial_spend": lambda t: {"day": f"{2000 + uuid4().int % 7000}-11-20", "currency": "USD", "charged": 2550},
    "campaign_samples": lambda t: {
        "campaign_id": t.id_of("campaigns"),
        "at": f"2026-11-20T00:00:{uuid4().int % 10**6 / 20000:.6f}Z",
        "dialed": 0,
        "answered": 0,
        "finished": 0,
        "remaining": 1,
    },
    "campaign_zones": lambda t: {"campaign_id": t.id_of("campaigns"), "counted_at": NOW, "places": []},
    "webhook_endpoints": lambda t: {
        "id": _id(),
        "url": "https://hooks.example/trunkline",
        "description": "",
        "events": [],
        "secret_sealed": "\\x00",
        "enabled": True,
    },
    "webhook_deliveries": lambda t: {
        "id": _id(),
        "endpoint_id": t.id_of("webhook_endpoints"),
        "event_id": 1,
        "campaign_id": t.id_of("campaigns"),
        "kind": "campaign.started",
        "data": {},
        "at": NOW,
        "status": "pending",
        "tries": 0,
        "next_at": NOW,
    },
}
"""In an order in which each may refer to those above it."""


async def insert_row(connection: Connection, table: str, row: Row) -> None:
    """As whoever the connection acts for. What the row does not say has its default."""
    columns = await connection.fetchval(
        """
        select string_agg(quote_ident(attname), ', ') from pg_attribute
        where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attname = any($2::text[])
        """,
        f"public.{table}",
        list(row),
    )
    await connection.execute(
        f"insert into public.{table} ({columns}) overriding system value"
        f" select {columns} from jsonb_populate_record(null::public.{table}, $1)",
        row,
    )


def build_row(tenant: Tenant, table: str) -> Row:
    return {"org_id": tenant.org_id, "created_at": NOW} | BUILDERS[table](tenant)


async def add_user(connection: Connection, tenant: Tenant, role: Role | None) -> UUID:
    """A user, who is a member of the organization unless the role is None."""
    user_id: UUID = await connection.fetchval("insert into auth.users (id) values (gen_random_uuid()) returning id")
    if role is not None:
        await connection.execute(
            "insert into members (org_id, user_id, role) values ($1, $2, $3)", UUID(tenant.org_id), user_id, role
        )
    return user_id


async def add_tenant(connection: Connection) -> Tenant:
    """An organization and one row of every tenant table in it."""
    tenant = Tenant()
    await connection.execute(
        "insert into organizations (id, slug, name) values ($1, $2, 'Tenant')",
        UUID(tenant.org_id),
        f"tenant-{uuid4().hex[:8]}",
    )
    tenant.rows["users"] = {"id": str(await add_user(connection, tenant, None))}
    for table in BUILDERS:
        tenant.rows[table] = build_row(tenant, table)
        await insert_row(connection, table, tenant.rows[table])
    # The row just made is somebody's membership; a row that can still be inserted needs somebody new.
    tenant.rows["users"] = {"id": str(await add_user(connection, tenant, None))}
    return tenant
