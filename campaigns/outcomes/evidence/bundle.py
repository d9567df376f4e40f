"""The evidence of an attempt as one JSON document: who was called, on what ground, what every gate said in that moment,
what was said first, and what was recorded. Pure; `evidence.py` reads the rows."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Row
from campaigns.outcomes.tables import write_instant
from campaigns.rules.dispositions import NOT_A_CONVERSATION, Disposition
from telephony.hints import read_word

FORM = "trunkline-evidence/1"
_MACHINES = frozenset({Disposition.VOICEMAIL, Disposition.VOICEMAIL_LEFT})

Read = Row | Mapping[str, Any]


@dataclass(frozen=True)
class Beside:
    """What stands beside an attempt: rows of the store by call or by number."""

    first_words: Mapping[UUID, Read] = field(default_factory=dict[UUID, Read])
    recordings: Mapping[UUID, Sequence[Read]] = field(default_factory=dict[UUID, Sequence[Read]])
    events: Mapping[UUID, Sequence[Read]] = field(default_factory=dict[UUID, Sequence[Read]])
    listings: Mapping[str, Sequence[Read]] = field(default_factory=dict[str, Sequence[Read]])
    digests_now: Mapping[UUID, str | None] = field(default_factory=dict[UUID, str | None])
    """SHA-256 of the file of each recording as it is now; None where the file is gone."""


def compose(row: Read, beside: Beside, *, now: datetime) -> dict[str, Any]:
    """The bundle of one attempt. `digest`: the SHA-256 of all the rest, so that a changed word shows."""
    number = row["phone"] or row["contact_phone"]
    bundle: dict[str, Any] = {
        "form": FORM,
        "made_at": write_instant(now),
        "organization": row["organization"],
        "campaign": {"id": str(row["campaign_id"]), "name": row["campaign_name"]},
        "contact": {"id": str(row["contact_id"]), "name": row["contact_name"], "phone": row["contact_phone"]},
        "list_source": _list_source(row),
        "consent": {
            "given_at": write_instant(row["consent_at"]),
            "expires_at": write_instant(row["consent_expires_at"]),
            "source": row["consent_source"],
        },
        "gates": list(row["gates"]),
        "do_not_call": {
            "at_the_dial": _gate(row, "do-not-call"),
            "entries_now": [_listing(entry) for entry in beside.listings.get(number, ())],
        },
        "zone": {"of_the_list": row["time_zone"], "at_the_dial": _gate(row, "calling-hours")},
        "attempt": _attempt(row),
        "call": _call(row, beside),
        "answered_by": judge_answerer(row),
        "disclosure": _disclosure(beside.first_words.get(row["call_id"])),
        "recordings": [_recording(one, beside.digests_now) for one in beside.recordings.get(row["call_id"], ())],
    }
    return {**bundle, "digest": digest(bundle)}


def digest(bundle: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of the bundle without its `digest`: JSON with sorted keys, no spaces, UTF-8."""
    rest = {key: value for key, value in bundle.items() if key != "digest"}
    return hashlib.sha256(
        json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).hexdigest()


def judge_answerer(row: Read) -> dict[str, Any]:
    """→ {"verdict": person | machine | nobody | unknown, "because"}, and "by" (words, beep, sit, end) where it was
    heard on the line."""
    if row["answered_at"] is None:
        return {"verdict": "nobody", "because": "the call was not answered"}
    if row["answered_by"] is not None:
        return {"verdict": row["answered_by"], **(row["answered_by_evidence"] or {})}
    if row["end_reason"] == "machine":
        return {"verdict": "machine", "because": "the call ended because a machine answered"}
    if row["disposition"] in _MACHINES:
        return {"verdict": "machine", "because": f"the conversation came to {row['disposition']}"}
    if row["disposition"] is not None and row["disposition"] not in NOT_A_CONVERSATION and _has_said_so(row):
        return {"verdict": "person", "because": f"the conversation came to {row['disposition']}"}
    return {"verdict": "unknown", "because": "answered, and nothing says by whom"}


def _has_said_so(row: Read) -> bool:
    """A call of which nothing is known but that it was answered is `reached` too; any other word was recorded."""
    return row["disposition"] != Disposition.REACHED or read_word(row["hint"] or {}) is not None


def _list_source(row: Read) -> dict[str, Any]:
    """Where the contact came from: a file with its hash and line, or the api, row by row."""
    if row["import_id"] is None:
        return {"kind": "row", "line": row["line"], "added_at": write_instant(row["contact_created_at"])}
    return {
        "kind": "file",
        "file_name": row["file_name"],
        "file_sha256": row["file_sha256"],
        "line": row["line"],
        "import_id": str(row["import_id"]),
        "imported_at": write_instant(row["imported_at"]),
        "added_at": write_instant(row["contact_created_at"]),
    }


def _gate(row: Read, name: str) -> dict[str, Any] | None:
    """What that gate said in the moment of the intent; None where it was not asked."""
    return next((dict(verdict) for verdict in row["gates"] if verdict.get("gate") == name), None)


def _listing(entry: Read) -> dict[str, Any]:
    return {
        "source": entry["source"],
        "reason": entry["reason"],
        "since": write_instant(entry["created_at"]),
        "scope": "campaign" if entry["campaign_id"] else "organization",
    }


def _attempt(row: Read) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "ordinal": row["ordinal"],
        "status": row["status"],
        "number_dialed": row["phone"] or row["contact_phone"],
        "claimed_at": write_instant(row["claimed_at"]),
        "slot_at": write_instant(row["dialed_at"]),
        "settled_at": write_instant(row["settled_at"]),
        "disposition": row["disposition"],
        "detail": row["detail"],
        "recorded_by_the_conversation": dict(row["hint"] or {}),
    }


def _call(row: Read, beside: Beside) -> dict[str, Any] | None:
    if row["call_id"] is None:
        return None
    return {
        "id": str(row["call_id"]),
        "from": row["from_number"],
        "to": row["to_number"],
        "carrier": row["carrier"],
        "carrier_call_id": row["carrier_call_id"],
        "carrier_status": row["carrier_status"],
        "sip_code": row["sip_code"],
        "team": row["team"],
        "team_version": row["team_version"],
        "intent_at": write_instant(row["intent_at"]),
        "requested_at": write_instant(row["requested_at"]),
        "ringing_at": write_instant(row["ringing_at"]),
        "answered_at": write_instant(row["answered_at"]),
        "ended_at": write_instant(row["ended_at"]),
        "end": {"result": row["end_result"], "reason": row["end_reason"], "at_fault": row["end_at_fault"]},
        "events": [
            {"kind": event["kind"], "at": write_instant(event["at"])} for event in beside.events.get(row["call_id"], ())
        ],
    }


def _disclosure(words: Read | None) -> dict[str, Any] | None:
    """What the agent said first: who calls, and why."""
    if words is None:
        return None
    return {
        "said_first": words["text"],
        "agent": words["agent"],
        "at": write_instant(words["started_at"]),
        "interrupted": words["interrupted"],
    }


def _recording(row: Read, digests_now: Mapping[UUID, str | None]) -> dict[str, Any]:
    """`sha256`: of the file when the call ended. `unchanged`: whether it is still that file; null where nobody can
    say."""
    now = digests_now.get(row["id"])
    return {
        "id": str(row["id"]),
        "format": row["format"],
        "sha256": row["sha256"],
        "sha256_now": now,
        "unchanged": None if now is None or row["sha256"] is None else now == row["sha256"],
        "started_at": write_instant(row["started_at"]),
        "duration_seconds": row["duration_seconds"],
    }
