"""The example campaign on the whole stack, its dialer killed again and again; the simulator's journal judges."""

import asyncio
import csv
import io
import json
import os
import signal
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.live.harness import REPOSITORY, Stack, wait_for

pytestmark = pytest.mark.live

CONTACTS = REPOSITORY / "examples" / "harbor-dental" / "contacts.csv"
CERTAIN = {
    "+12025550150": "busy",
    "+12025550151": "busy",
    "+12025550160": "no-answer",
    "+12025550170": "refused",
    "+12025550175": "wrong-number",
}
"""What does not depend on anyone's words."""


def dials(stack: Stack, since: str) -> Counter[str]:
    """How often each number was dialed for a campaign since then, by the journal on disk."""
    numbers: Counter[str] = Counter()
    for line in (stack.home / "simulator" / "journal.jsonl").read_text().splitlines(keepends=True):
        if not line.endswith("\n"):
            break  # still being written
        record = json.loads(line)
        if record["kind"] == "call.created" and record["at"] > since and "attempt=" in str(record["url"]):
            numbers[record["to"]] += 1
    return numbers


async def start_campaign(api: httpx.AsyncClient) -> dict[str, Any]:
    fields = {"name": "Killed", "team": "reminder", "max_concurrent": "6", "calls_per_second": "2"}
    # These tests run at night too.
    fields["calling"] = json.dumps({"defaults": False})
    made = await api.post(
        "/campaigns",
        data=fields | {"max_attempts": "1", "ring_timeout_seconds": "15"},
        files={"file": ("contacts.csv", CONTACTS.read_bytes(), "text/csv")},
    )
    assert made.status_code == 201, made.text
    campaign: dict[str, Any] = made.json()
    (await api.post(f"/campaigns/{campaign['id']}/start")).raise_for_status()
    return campaign


async def kill_dialer(stack: Stack) -> None:
    part = (await asyncio.to_thread(stack.status))["parts"]["dialer"]
    os.kill(part["pid"], signal.SIGKILL)


async def test_kill_9_of_the_dialer_during_the_campaign_dials_no_number_twice_and_loses_none(
    stack: Stack, api: httpx.AsyncClient
) -> None:
    campaign = await start_campaign(api)
    accepted, began = campaign["import"]["accepted"], campaign["created_at"]
    assert (accepted, campaign["import"]["rejected"], campaign["import"]["duplicates"]) == (20, 2, 1)

    for count in (1, 5, 10, 15):

        async def so_many_dialed(count: int = count) -> bool:
            return dials(stack, began).total() >= count

        await wait_for(so_many_dialed, timeout_seconds=180, what=f"{count} dials")
        await kill_dialer(stack)

    async def finished() -> bool:
        progress = (await api.get(f"/campaigns/{campaign['id']}/progress")).raise_for_status().json()
        return progress["status"] == "finished"

    await wait_for(finished, timeout_seconds=360, what="the campaign's end")
    numbers = dials(stack, began)
    assert {number: count for number, count in numbers.items() if count > 1} == {}
    results = (await api.get(f"/campaigns/{campaign['id']}/results")).raise_for_status().text
    rows = [row for row in csv.DictReader(io.StringIO(results)) if row["disposition"] != "not-dialed"]
    assert len(rows) == len({row["phone"] for row in rows}) == accepted
    assert set(numbers) == {row["phone"] for row in rows}
    came_of_it = {row["phone"]: row["disposition"] for row in rows}
    assert {number: came_of_it[number] for number in CERTAIN} == CERTAIN
    assert "" not in came_of_it.values()
