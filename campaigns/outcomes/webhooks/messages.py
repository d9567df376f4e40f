"""What a webhook says: `{"type", "timestamp", "data"}`, as Standard Webhooks has it."""

import json
from collections.abc import Mapping
from typing import Any

from app.db import Connection, Row
from app.ids import CampaignId, OrgId
from campaigns.campaigns import CampaignNotFound
from campaigns.outcomes.progress import read_progress
from campaigns.outcomes.tables import write_instant
from campaigns.outcomes.webhooks import store
from campaigns.rules.dispositions import OutcomeCodes


async def write_body(connection: Connection, delivery: Row) -> str:
    """The body of a delivery, from what the rows say now. An attempt's event tells contact, attempt and outcome; a
    contact's the contact; a campaign's its counts."""
    data: dict[str, Any] = dict(delivery["data"])
    if delivery["attempt_id"] is not None:
        story = await store.select_attempt_story(connection, delivery["attempt_id"])
        if story is not None:
            data = describe_attempt(story) | {"event": data}
    elif delivery["contact_id"] is not None:
        contact = await store.select_contact_story(connection, delivery["contact_id"])
        if contact is not None:
            data = describe_contact(contact) | {"event": data}
    elif delivery["campaign_id"] is not None:
        data = await _describe_campaign(connection, delivery) | {"event": data}
    message = {"type": delivery["kind"], "timestamp": write_instant(delivery["at"]), "data": data}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"), sort_keys=False)


async def _describe_campaign(connection: Connection, delivery: Row) -> dict[str, Any]:
    campaign_id = CampaignId(delivery["campaign_id"])
    try:
        progress = await read_progress(connection, OrgId(delivery["org_id"]), campaign_id)
    except CampaignNotFound:
        return {"campaign": {"id": str(campaign_id)}}
    counts = {key: value for key, value in progress.to_json().items() if key not in ("at", "name", "status")}
    return {"campaign": {"id": str(campaign_id), "name": progress.name, "status": progress.status}, "progress": counts}


def describe_contact(story: Row | Mapping[str, Any]) -> dict[str, Any]:
    """→ campaign, contact."""
    return {
        "campaign": {"id": str(story["campaign_id"]), "name": story["campaign_name"]},
        "contact": {
            "id": str(story["contact_id"]),
            "line": story["line"],
            "phone": story["phone"],
            "name": story["name"],
            "variables": story["variables"],
            "status": story["contact_status"],
            "attempts_made": story["attempts_made"],
            "due_at": write_instant(story["due_at"]) if story["contact_status"] == "waiting" else None,
        },
    }


def describe_attempt(story: Row | Mapping[str, Any]) -> dict[str, Any]:
    """→ campaign, contact, attempt. Instants are RFC 3339; what is not known is null."""
    hint: Mapping[str, Any] = story["hint"] or {}
    answered_at, ended_at = story["answered_at"], story["ended_at"]
    codes = OutcomeCodes.read(story["outcomes"])
    return {
        **describe_contact(story),
        "attempt": {
            "id": str(story["attempt_id"]),
            "ordinal": story["ordinal"],
            "status": story["attempt_status"],
            "phone": story["attempt_phone"] or story["phone"],
            "disposition": story["disposition"],
            "code": codes.code_of(story["disposition"], hint),
            "detail": story["detail"],
            "details": hint.get("details") or {},
            "call_id": str(story["call_id"]) if story["call_id"] else None,
            "end_result": story["end_result"],
            "end_reason": story["end_reason"],
            "dialed_at": write_instant(story["dialed_at"]),
            "answered_at": write_instant(answered_at),
            "ended_at": write_instant(ended_at),
            "talk_seconds": round((ended_at - answered_at).total_seconds(), 1) if answered_at and ended_at else None,
        },
    }
