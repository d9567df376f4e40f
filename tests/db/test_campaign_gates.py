"""The gates of every campaign dial, on real rows."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.db import Database
from app.ids import E164, OrgId, new_id
from campaigns.gates.gates import Candidate, Gate, Verdict, check_gates, first_refusal, load_policy, to_evidence
from tests.db.gate_world import NOON, PHONE, add_campaign, add_contact, add_dial, ask, ask_gate, dialed

pytestmark = pytest.mark.db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def test_an_ordinary_contact_passes_every_gate_in_order_with_a_reason(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org))
    verdicts = (await ask(db, [one], toll_gate=lambda phone: None))[one.contact_id]
    assert [verdict.gate for verdict in verdicts] == list(Gate)
    assert all(verdict.passed and verdict.reason for verdict in verdicts)
    assert first_refusal(verdicts) is None
    assert to_evidence(verdicts)[6] == {
        "gate": "calling-hours",
        "passed": True,
        "reason": "it is Fri 12:00 in America/New_York",
        "source": "zone America/New_York of the number, US-DC",
    }


@pytest.mark.parametrize("status", ["draft", "paused"])
async def test_a_campaign_that_does_not_run_keeps_its_contacts_due(db: Database, org: OrgId, status: str) -> None:
    one = await add_contact(db, org, await add_campaign(db, org, status=status))
    verdict = await ask_gate(db, one, Gate.CAMPAIGN)
    assert (verdict.passed, verdict.next_at) == (False, NOON)


async def test_before_its_start_a_campaign_waits_and_after_its_deadline_it_is_over(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org, starts_at=NOON + HOUR, deadline_at=NOON + DAY))
    assert (await ask_gate(db, one, Gate.WINDOW)).next_at == NOON + HOUR
    assert (await ask_gate(db, one, Gate.WINDOW, now=NOON + HOUR)).passed
    over = await ask_gate(db, one, Gate.WINDOW, now=NOON + DAY)
    assert (over.passed, over.next_at) == (False, None)


@pytest.mark.parametrize(
    ("rule", "given", "passed"),
    [
        ({}, {}, True),
        ({"need": "required"}, {}, False),
        ({"need": "required"}, {"consent_at": NOON - DAY}, True),
        ({}, {"consent_at": NOON - 2 * DAY, "consent_expires_at": NOON}, False),
        ({}, {"consent_expires_at": NOON + HOUR}, True),
        ({"need": "ignored"}, {"consent_expires_at": NOON - HOUR}, True),
        ({"max_age_days": 30}, {"consent_at": NOON - 31 * DAY}, False),
    ],
)
async def test_consent_is_needed_where_the_campaign_says_so_and_ends(
    db: Database, org: OrgId, rule: dict[str, object], given: dict[str, datetime], passed: bool
) -> None:
    one = await add_contact(db, org, await add_campaign(db, org, consent=rule), **given)
    verdict = await ask_gate(db, one, Gate.CONSENT)
    assert (verdict.passed, verdict.next_at) == (passed, None)


@pytest.mark.parametrize("scope", ["organization", "campaign", "other campaign", "other organization"])
async def test_the_lists_of_the_organization_and_of_the_campaign_hold_and_no_other(
    db: Database, org: OrgId, scope: str
) -> None:
    campaign, other = await add_campaign(db, org), await add_campaign(db, org)
    stranger = OrgId(new_id())
    one = await add_contact(db, org, campaign)
    async with db.system() as connection:
        await connection.execute("insert into organizations (id, slug, name) values ($1, 'other', 'O')", stranger)
        await connection.execute(
            "insert into do_not_call (id, org_id, phone, campaign_id, source, reason)"
            " values ($1, $2, $3, $4, 'said-in-call', 'asked')",
            new_id(),
            stranger if scope == "other organization" else org,
            PHONE,
            {"campaign": campaign, "other campaign": other}.get(scope),
        )
    verdict = await ask_gate(db, one, Gate.DO_NOT_CALL)
    assert verdict.passed == scope.startswith("other")
    if not verdict.passed:
        assert verdict.next_at is None
        assert f"on the {scope}'s do-not-call list: asked" in verdict.reason
        assert (verdict.source or "").startswith("said-in-call")


async def test_what_is_put_on_the_list_after_a_claim_stops_the_dial(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org))
    async with db.system() as connection:
        policy = await load_policy(connection, one.campaign_id)
        async with db.system() as elsewhere:
            await elsewhere.execute(
                "insert into do_not_call (id, org_id, phone) values ($1, $2, $3)", new_id(), org, PHONE
            )
        verdicts = await check_gates(connection, policy, [one], now=NOON)
    refusal = first_refusal(verdicts[one.contact_id])
    assert refusal is not None
    assert refusal.gate is Gate.DO_NOT_CALL


async def test_out_of_hours_names_the_next_opening(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org), time_zone="Asia/Kathmandu")
    verdict = await ask_gate(db, one, Gate.CALLING_HOURS)
    assert not verdict.passed
    assert verdict.source == "zone Asia/Kathmandu of the list"
    assert verdict.next_at == datetime(2026, 11, 21, 2, 15, tzinfo=UTC)  # 08:00 at +05:45


async def test_hours_of_the_campaign_narrow_the_defaults_or_replace_them(db: Database, org: OrgId) -> None:
    night = {"hours": {"daily": "00:00-09:00"}}
    one = await add_contact(db, org, await add_campaign(db, org, calling=night))
    verdict = await ask_gate(db, one, Gate.CALLING_HOURS)
    assert verdict.next_at == datetime(2026, 11, 21, 13, 0, tzinfo=UTC)  # 08:00 in New York, not midnight
    free = await add_contact(db, org, await add_campaign(db, org, calling={"defaults": False}), time_zone="Asia/Tokyo")
    assert (await ask_gate(db, free, Gate.CALLING_HOURS)).passed


@pytest.mark.parametrize(
    ("cap", "ago", "next_at"),
    [
        ({"per_day": 2}, [HOUR], None),
        ({"per_day": 2}, [HOUR, 23 * HOUR], NOON + HOUR),
        ({"per_day": 2}, [HOUR, DAY], None),
        ({"per_week": 3}, [HOUR, 2 * DAY, 6 * DAY], NOON + DAY),
        ({"per_day": 1, "per_week": 2}, [HOUR, 6 * DAY], NOON + DAY),
    ],
)
@pytest.mark.parametrize("whose", ["contact", "number"])
async def test_a_cap_reached_opens_when_the_oldest_dial_is_old_enough(
    db: Database, org: OrgId, whose: str, cap: dict[str, int], ago: list[timedelta], next_at: datetime | None
) -> None:
    one = await add_contact(db, org, await add_campaign(db, org, caps={whose: cap}))
    await dialed(db, one, *ago)
    verdict = await ask_gate(db, one, Gate.CAPS)
    assert (verdict.passed, verdict.next_at) == (next_at is None, next_at if next_at is None else max(next_at, NOON))


async def test_a_cap_in_all_is_for_good(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org, caps={"contact": {"in_all": 1}}))
    await dialed(db, one, 300 * DAY)
    verdict = await ask_gate(db, one, Gate.CAPS)
    assert (verdict.passed, verdict.next_at) == (False, None)


@pytest.mark.parametrize("across", [True, False])
async def test_a_number_is_counted_across_campaigns_unless_told_otherwise(
    db: Database, org: OrgId, across: bool
) -> None:
    caps = {"number": {"per_day": 1}, "across_campaigns": across}
    one = await add_contact(db, org, await add_campaign(db, org, caps=caps))
    elsewhere = await add_contact(db, org, await add_campaign(db, org))
    await dialed(db, elsewhere, HOUR)
    assert (await ask_gate(db, one, Gate.CAPS)).passed is not across


async def test_a_dial_that_surely_never_went_out_does_not_count(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org, caps={"contact": {"per_day": 1}}))
    await dialed(db, one, HOUR, status="released")
    assert (await ask_gate(db, one, Gate.CAPS)).passed
    await dialed(db, one, HOUR, status="uncertain")
    assert not (await ask_gate(db, one, Gate.CAPS)).passed


async def test_two_contacts_of_a_batch_with_one_number_are_not_both_dialed(db: Database, org: OrgId) -> None:
    campaign = await add_campaign(db, org, caps={"number": {"per_day": 1}})
    first = await add_contact(db, org, campaign)
    second = await add_contact(db, org, campaign, "+12025550111", phones=["+12025550111", PHONE])
    second = type(second)(second.contact_id, org, campaign, E164(PHONE))
    verdicts = await ask(db, [first, second])
    assert first_refusal(verdicts[first.contact_id]) is None
    refusal = first_refusal(verdicts[second.contact_id])
    assert refusal is not None
    assert refusal.gate is Gate.CAPS
    assert refusal.next_at is not None


async def test_two_dialers_never_pass_one_number_at_the_same_time_where_it_is_counted(db: Database, org: OrgId) -> None:
    caps = {"number": {"per_day": 1}}
    one = await add_contact(db, org, await add_campaign(db, org, caps=caps))
    other = await add_contact(db, org, await add_campaign(db, org, caps=caps))
    async with db.system() as first:
        policy = await load_policy(first, one.campaign_id)
        passed = await check_gates(first, policy, [one], now=NOON)
        assert first_refusal(passed[one.contact_id]) is None
        waits = await ask_gate(db, other, Gate.CAPS)
        assert (waits.passed, waits.next_at) == (False, NOON + timedelta(seconds=5))
        await add_dial(first, one, NOON)
    later = await ask_gate(db, other, Gate.CAPS)
    assert later.next_at == NOON + DAY


async def test_florida_allows_three_calls_in_a_day_without_any_cap(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org), "+13055550110")
    await dialed(db, one, HOUR, 2 * HOUR)
    assert (await ask_gate(db, one, Gate.CAPS)).passed
    await dialed(db, one, 3 * HOUR)
    assert (await ask_gate(db, one, Gate.CAPS)).next_at == NOON + 21 * HOUR


async def test_a_veto_that_was_not_asked_for_yet_puts_the_contact_off(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org, suppression={"url": "https://veto.example/check"}))
    assert (await ask_gate(db, one, Gate.SUPPRESSION)).next_at == NOON
    veto = Verdict(Gate.SUPPRESSION, False, "a litigator")
    assert await ask_gate(db, one, Gate.SUPPRESSION, suppression={one.contact_id: veto}) == veto


async def test_the_toll_gate_is_asked_with_the_others(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org))
    verdict = await ask_gate(db, one, Gate.TOLL_GATE, toll_gate=lambda phone: "The destination is a satellite.")
    assert (verdict.passed, verdict.reason, verdict.next_at) == (False, "The destination is a satellite.", None)


async def test_a_thousand_candidates_are_judged_with_three_queries_and_not_too_many_locks(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    caps = {"number": {"per_day": 3}, "contact": {"per_week": 9}}
    one = await add_contact(db, org, await add_campaign(db, org, caps=caps))
    many = [type(one)(one.contact_id, org, one.campaign_id, E164(f"+1202555{n:04d}")) for n in range(1000)]
    async with db.system() as connection:
        policy = await load_policy(connection, one.campaign_id)
        counter = CountingConnection(connection)
        await check_gates(counter, policy, many, now=NOON)  # type: ignore[arg-type]
        locks = await connection.fetchval("select count(*) from pg_locks where locktype = 'advisory'")
    assert counter.queries == 3
    assert locks == 400


class CountingConnection:
    """Passes queries on and counts them."""

    def __init__(self, connection: object) -> None:
        self._connection = connection
        self.queries = 0

    async def fetch(self, *arguments: object) -> object:
        self.queries += 1
        return await self._connection.fetch(*arguments)  # type: ignore[attr-defined]


async def test_many_dialers_at_once_never_dial_a_number_over_its_cap(db: Database, org: OrgId) -> None:
    caps = {"number": {"per_day": 2}}
    everyone = [await add_contact(db, org, await add_campaign(db, org, caps=caps)) for _ in range(8)]

    async def try_once(one: Candidate) -> None:
        async with db.system() as connection:
            policy = await load_policy(connection, one.campaign_id)
            verdicts = await check_gates(connection, policy, [one], now=NOON)
            if first_refusal(verdicts[one.contact_id]) is None:
                await add_dial(connection, one, NOON)

    for _ in range(6):
        await asyncio.gather(*map(try_once, everyone))
    async with db.system() as connection:
        assert await connection.fetchval("select count(*) from attempts where phone = $1", PHONE) == 2
