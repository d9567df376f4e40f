"""The demo's campaign: a messy list, looked at, dialed to the end, judged by the carrier's journal, and told of."""

import asyncio
import csv
from collections import Counter

import httpx
from rich.table import Table

from app.console.callees.contacts import ask_why, describe_why
from app.console.campaigns.importing import ImportOrder, look_at
from app.console.demonstration.stage import EXAMPLE, Demo, run_trunkline
from campaigns.lifecycle.redial import UNREACHED
from telephony.simulator.people.table import SHIPPED, load_personas

ASKED_NOT_TO = "+12025550145"
"""The contact of the list who asks in the call not to be called again."""


async def dial_campaign(demo: Demo) -> None:
    """`trunkline campaign run` on the example's contacts; the api and the carrier's journal say what came of it."""
    await forget_last_demo(demo)
    results = demo.home / "demo-results.csv"
    contacts = EXAMPLE / "contacts.csv"
    seen_as = await look_at(demo.settings, ImportOrder(contacts, team="reminder"), demo.console)
    demo.check("the list is looked at first", bool(seen_as), "columns and first rows as they will be read")
    ran = await asyncio.to_thread(
        run_trunkline, *("campaign", "run", str(contacts), "--team", "reminder", "--out", str(results)),
        *("--max-concurrent", "5", "--calls-per-second", "3", "--ring-timeout", "15"),
        *("--max-attempts", "2", "--retry-delay", "3"),
        # Simulated people may be called at night; anybody else only within the hours of their place.
        *("--set", "calling.defaults=false"),
    )  # fmt: skip
    demo.check("campaign dialed to the end", ran == 0, f"results in {results}")
    page = (await demo.api.get("/api/v1/campaigns", params={"limit": 1})).raise_for_status().json()
    campaign = page["data"][0]
    progress = (await demo.api.get(f"/api/v1/campaigns/{campaign['id']}/progress")).raise_for_status().json()
    accepted, finished = campaign["import"]["accepted"], progress["contacts"]["finished"]
    demo.check("no contact lost", finished == accepted >= 20, f"{finished} of {accepted} finished")
    rows = list(csv.DictReader(results.open(newline="")))
    dialed = Counter(row["phone"] for row in rows if row["disposition"] != "not-dialed")
    seen, personas = await read_journal(demo, since=campaign["created_at"])
    demo.check(
        "the carrier's journal has every dial and no other",
        dialed == seen and len(seen) == accepted,
        f"{seen.total()} dials to {len(seen)} numbers",
    )
    missing = {span.persona for span in load_personas(SHIPPED).last_two_digits} - personas
    demo.check("every persona was called", not missing, ", ".join(sorted(missing or personas)))
    table = Table(title="What came of it")
    table.add_column("disposition")
    table.add_column("contacts", justify="right")
    for disposition, count in sorted(progress["dispositions"].items()):
        table.add_row(disposition, str(count))
    demo.console.print(table)
    await look_back(demo, campaign["id"], progress["dispositions"])


async def look_back(demo: Demo, campaign_id: str, dispositions: dict[str, int]) -> None:
    """Why somebody is not called, the campaign's report, and a new campaign of those it did not reach, as far as its
    preflight."""
    verdicts, _ = await ask_why(demo.settings, ASKED_NOT_TO, campaign_id)
    demo.console.print(describe_why(verdicts[0]))
    refused = [verdict["gate"] for verdict in verdicts[0]["verdicts"] if not verdict["passed"]]
    demo.check("who said never again is on the list", "do-not-call" in refused, f"{ASKED_NOT_TO} is never dialed")
    report = demo.home / "demo-report.html"
    wrote = await asyncio.to_thread(run_trunkline, "campaign", "report", campaign_id, "--out", str(report))
    demo.check("the report is one page", wrote == 0 and "<svg" in report.read_text(), str(report))
    answer = await demo.api.post(f"/api/v1/campaigns/{campaign_id}/redial", json={"name": "Those not reached"})
    again = answer.raise_for_status().json()
    unreached = sum(count for word, count in dispositions.items() if word in UNREACHED)
    told = f"{again['contacts']} of {sum(dispositions.values())} contacts"
    demo.check("those not reached can be dialed again", again["contacts"] == unreached > 0, told)
    await asyncio.to_thread(run_trunkline, "campaign", "preflight", again["campaign"]["id"])


async def forget_last_demo(demo: Demo) -> None:
    """One of the contacts asks never to be called again, and is not: to see that once more, the list must forget."""
    listed = (await demo.api.get("/api/v1/do-not-call", params={"limit": 200})).raise_for_status().json()["data"]
    theirs = (EXAMPLE / "contacts.csv").read_text()
    for entry in listed:
        if entry["phone"] in theirs and entry["reason"] == "said in a call":
            (await demo.api.delete(f"/api/v1/do-not-call/{entry['phone']}")).raise_for_status()
            demo.console.print(
                f"  {entry['phone']} asked the last demo not to call again; for this one it is forgotten."
            )


async def read_journal(demo: Demo, *, since: str) -> tuple[Counter[str], set[str]]:
    """What the simulated carrier was asked to dial for campaigns since then: dials by number, and the personas."""
    numbers: Counter[str] = Counter()
    personas: set[str] = set()
    after = 0
    async with httpx.AsyncClient(base_url=demo.info["simulator_url"], timeout=30) as simulator:
        while True:
            params = {"after": after, "limit": 10_000}
            page = (await simulator.get("/simulator/journal", params=params)).raise_for_status().json()
            for record in page["data"]:
                asked = record["kind"] == "call.created" and "attempt=" in str(record.get("url"))
                if asked and record["at"] > since:
                    numbers[record["to"]] += 1
                    personas.add(record["persona"])
            after += len(page["data"])
            if after >= page["seq"]:
                return numbers, personas
