"""The evidence of an attempt: whole, in the words of that moment, and anybody can tell whether it was changed."""

import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.auth.principal import Role
from app.db import Connection, Database
from app.ids import AttemptId, CampaignId, OrgId, new_id
from campaigns.campaigns import CampaignNotFound, Plan
from campaigns.creating import create_campaign
from campaigns.imports.importing import import_contacts
from campaigns.lifecycle.control import finish_campaign
from campaigns.lifecycle.redial import redial_unreached
from campaigns.outcomes.evidence import evidence
from campaigns.outcomes.evidence.bundle import digest, judge_answerer
from campaigns.outcomes.evidence.evidence import AttemptNotFound, load_evidence, stream_evidence
from tests.db.api_world import Api, assert_problem
from tests.db.lifecycle_world import add_team
from tests.db.outcome_world import NOON, add_attempt, add_campaign, add_contacts

pytestmark = pytest.mark.db

GATES = [
    {"gate": "do-not-call", "passed": True, "reason": "on no list"},
    {"gate": "calling-hours", "passed": True, "reason": "Fri 12:00 in America/New_York", "source": "the list"},
]
SOUND = b"RIFF of a talk"


async def add_recording(connection: Connection, org: OrgId, call: UUID, folder: Path, path: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(SOUND)
    await connection.execute(
        """
        insert into recordings (id, org_id, call_id, path, format, channels, sample_rate, started_at, sha256)
        values ($1, $2, $3, $4, 'wav', 2, 16000, now(), $5)
        """,
        new_id(),
        org,
        call,
        path,
        hashlib.sha256(SOUND).hexdigest(),
    )


async def proven_attempt(
    db: Database, org: OrgId, folder: Path, *, path: str = "org/one.wav"
) -> tuple[CampaignId, AttemptId, UUID]:
    """An attempt with consent, gates, first words and a recording."""
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        contact = (await add_contacts(connection, org, campaign, 1))[0]
        await connection.execute(
            """
            update contacts set consent_at = $2, consent_source = 'web form', time_zone = 'America/New_York'
            where id = $1
            """,
            contact,
            datetime(2026, 10, 1, tzinfo=UTC),
        )
        attempt, call = await add_attempt(connection, org, campaign, contact, "confirmed", gates=GATES)
        for n, text in enumerate(("Hello, this is Harbor Dental's assistant.", "Shall I confirm?")):
            await connection.execute(
                """
                insert into turns (id, org_id, call_id, role, agent, text, started_at)
                values ($1, $2, $3, 'agent', 'reminder', $4, $5)
                """,
                new_id(),
                org,
                call,
                text,
                NOON + timedelta(seconds=9 + n),
            )
        await add_recording(connection, org, call, folder, path)
    return campaign, AttemptId(attempt), call


async def test_the_bundle_tells_ground_gates_words_and_recording(db: Database, org: OrgId, tmp_path: Path) -> None:
    campaign, attempt, call = await proven_attempt(db, org, tmp_path)
    bundle = await load_evidence(db, org, campaign, attempt, recordings=tmp_path)
    assert bundle["consent"] == {"given_at": "2026-10-01T00:00:00.000Z", "expires_at": None, "source": "web form"}
    assert bundle["gates"] == GATES
    assert bundle["do_not_call"] == {"at_the_dial": GATES[0], "entries_now": []}
    assert bundle["zone"] == {"of_the_list": "America/New_York", "at_the_dial": GATES[1]}
    assert bundle["list_source"]["line"] == 2
    assert bundle["answered_by"]["verdict"] == "person"
    assert bundle["disclosure"]["said_first"] == "Hello, this is Harbor Dental's assistant."
    assert bundle["call"]["carrier_call_id"] == f"CA{call}"
    [recording] = bundle["recordings"]
    assert recording["sha256"] == recording["sha256_now"] == hashlib.sha256(SOUND).hexdigest()
    assert recording["unchanged"] is True


async def test_a_contact_that_was_copied_still_names_its_file(db: Database, org: OrgId, tmp_path: Path) -> None:
    await add_team(db, org)
    imported = await create_campaign(db, org, Plan(name="Recall", team="reception"))
    text = b"phone\n+12025550110\n"
    await import_contacts(db, org, imported.id, io.BytesIO(text), file_name="recall.csv")
    await finish_campaign(db, org, imported.id)
    copied = (await redial_unreached(db, org, imported.id)).campaign.id
    async with db.system() as connection:
        contact = await connection.fetchval("select id from contacts where campaign_id = $1", copied)
        attempt, _ = await add_attempt(connection, org, copied, contact, "confirmed")
    source = (await load_evidence(db, org, copied, AttemptId(attempt), recordings=tmp_path))["list_source"]
    assert (source["kind"], source["file_name"], source["line"]) == ("file", "recall.csv", 2)
    assert source["file_sha256"] == hashlib.sha256(text).hexdigest()


async def test_who_changes_a_word_or_a_recording_shows(db: Database, org: OrgId, tmp_path: Path) -> None:
    campaign, attempt, _ = await proven_attempt(db, org, tmp_path)
    bundle = json.loads(json.dumps(await load_evidence(db, org, campaign, attempt, recordings=tmp_path)))
    assert digest(bundle) == bundle["digest"]
    bundle["consent"]["given_at"] = "2026-09-01T00:00:00.000Z"
    assert digest(bundle) != bundle["digest"]
    (tmp_path / "org/one.wav").write_bytes(SOUND + b"!")
    changed = await load_evidence(db, org, campaign, attempt, recordings=tmp_path)
    assert changed["recordings"][0]["unchanged"] is False
    (tmp_path / "org/one.wav").unlink()
    gone = await load_evidence(db, org, campaign, attempt, recordings=tmp_path)
    assert gone["recordings"][0]["unchanged"] is None


async def test_a_listing_after_the_dial_is_told_apart_from_the_dial(db: Database, org: OrgId, tmp_path: Path) -> None:
    campaign, attempt, _ = await proven_attempt(db, org, tmp_path)
    async with db.system() as connection:
        await connection.execute(
            """
            insert into do_not_call (id, org_id, phone, source, reason)
            values ($1, $2, '+12025550100', 'api', 'letter')
            """,
            new_id(),
            org,
        )
    bundle = await load_evidence(db, org, campaign, attempt, recordings=tmp_path)
    assert bundle["do_not_call"]["at_the_dial"]["passed"] is True
    [entry] = bundle["do_not_call"]["entries_now"]
    assert (entry["source"], entry["reason"], entry["scope"]) == ("api", "letter", "organization")


async def test_a_path_that_leads_out_of_the_recordings_is_not_followed(
    db: Database, org: OrgId, tmp_path: Path
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    campaign, attempt, _ = await proven_attempt(db, org, folder, path="../outside.wav")
    bundle = await load_evidence(db, org, campaign, attempt, recordings=folder)
    assert bundle["recordings"][0]["sha256_now"] is None


async def test_every_attempt_has_a_line_across_pages(
    db: Database, org: OrgId, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "PAGE_ATTEMPTS", 4)
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        attempts = [
            (await add_attempt(connection, org, campaign, contact, "busy", result="busy", answered=False))[0]
            for contact in await add_contacts(connection, org, campaign, 11)
        ]
    lines = [json.loads(line) async for line in stream_evidence(db, org, campaign, recordings=tmp_path)]
    assert sorted(line["attempt"]["id"] for line in lines) == sorted(map(str, attempts))
    assert all(digest(line) == line["digest"] for line in lines)


async def test_a_strange_attempt_or_campaign_has_no_evidence(db: Database, org: OrgId, tmp_path: Path) -> None:
    campaign, attempt, _ = await proven_attempt(db, org, tmp_path)
    with pytest.raises(AttemptNotFound):
        await load_evidence(db, org, campaign, AttemptId(new_id()), recordings=tmp_path)
    with pytest.raises(CampaignNotFound):
        await load_evidence(db, org, CampaignId(new_id()), attempt, recordings=tmp_path)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"answered_at": None}, "nobody"),
        ({"end_reason": "machine"}, "machine"),
        ({"disposition": "voicemail-left"}, "machine"),
        ({"disposition": "sold"}, "person"),
        ({"disposition": "reached", "hint": {"disposition": "reached"}}, "person"),
        ({"disposition": "reached"}, "unknown"),
        ({"disposition": "failed"}, "unknown"),
        ({"disposition": None}, "unknown"),
    ],
)
def test_who_answered_is_said_only_where_something_says_so(changes: dict[str, Any], verdict: str) -> None:
    told = {"answered_at": NOON, "end_reason": "callee_hung_up", "disposition": "reached", "answered_by": None}
    told["hint"] = None
    assert judge_answerer(told | changes)["verdict"] == verdict


def test_who_was_heard_to_answer_stands_with_how_that_is_known() -> None:
    heard = {"answered_by": "machine", "answered_by_evidence": {"by": "beep", "because": "heard 1000 Hz for 0.50 s"}}
    told = {"answered_at": NOON, "end_reason": "callee_hung_up", "disposition": "reached"} | heard
    assert judge_answerer(told) == {"verdict": "machine", "by": "beep", "because": "heard 1000 Hz for 0.50 s"}


async def test_evidence_and_report_come_over_rest_to_those_who_may(api: Api) -> None:
    folder = api.state.settings.recordings_dir
    campaign, attempt, _ = await proven_attempt(api.db, api.org_id, folder)
    path, headers = f"/api/v1/campaigns/{campaign}", await api.key(Role.SUPERVISOR)
    one = (await api.client.get(f"{path}/attempts/{attempt}/evidence", headers=headers)).json()
    assert digest(one) == one["digest"]
    assert one["recordings"][0]["unchanged"] is True
    [line] = (await api.client.get(f"{path}/evidence", headers=headers)).text.splitlines()
    assert json.loads(line)["attempt"]["id"] == str(attempt)
    viewer = await api.key(Role.VIEWER)
    assert_problem(await api.client.get(f"{path}/evidence", headers=viewer), 403, "forbidden")
    strange = await api.client.get(f"{path}/attempts/{new_id()}/evidence", headers=headers)
    assert_problem(strange, 404, "attempt_not_found")
    page = await api.client.get(f"{path}/report", headers=viewer)
    assert page.headers["content-type"].startswith("text/html")
    assert "sandbox" in page.headers["content-security-policy"]
    assert "<svg" in page.text
