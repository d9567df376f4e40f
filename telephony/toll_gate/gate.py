"""The one gate of every outbound dial, whoever asks: a campaign, the API, an agent's tool.

`open_gate` reads the organization's rules once; `check` is cheap and pure, for each number; `reserve` counts dials and
sets money aside, for a whole batch at once, in the transaction that commits the intents. Limits are rows, so they hold
for all replicas together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.db import Connection
from app.errors import NotFound
from app.ids import E164, CallId, NumberId, OrgId, new_id
from telephony.lines.numbers import Number, load_number
from telephony.toll_gate import store
from telephony.toll_gate.destinations import DialingRules
from telephony.toll_gate.limits import DialLimitReached, Seen, Tally, Wanted, Window, admit, counting_windows
from telephony.toll_gate.numbering import Destination
from telephony.toll_gate.policy import DialingPolicy, read_policy


@dataclass(frozen=True)
class Gate:
    """The gate for dials of one organization from one of its numbers, the caller ID."""

    org_id: OrgId
    number: Number
    rules: DialingRules
    policy: DialingPolicy

    def check(self, to: E164) -> Destination:
        """Where `to` leads, if it may ever be dialed. Raises TollGateRefused, which nothing but other rules heals."""
        return self.rules.check(to)

    async def reserve(
        self,
        connection: Connection,
        numbers: Sequence[E164],
        *,
        now: datetime | None = None,
        call_ids: Sequence[CallId] | None = None,
    ) -> list[DialLimitReached | None]:
        """Count these dials; for each, in order, None or why it has to wait.

        Once in a transaction, the one that inserts the calls: what is rolled back was not counted. Where there are
        limits, other transactions of the organization wait here until it ends. `now`: None is the database's clock,
        which all replicas share. `call_ids`: the calls to be (`DialRequest.call_id`), to settle what they cost. Raises
        TollGateRefused for a number that does not pass `check`, ValueError for a spend cap without `call_ids`.
        """
        if not self.policy.has_limits or not numbers:
            return [None] * len(numbers)
        if self.policy.spend is not None and call_ids is None:
            raise ValueError("a spend cap is set: reserve needs the ids of the calls to be")
        ids = call_ids if call_ids is not None else [CallId(new_id()) for _ in numbers]
        wanted = [Wanted(to, self.check(to), call_id) for to, call_id in zip(numbers, ids, strict=True)]
        clock = await store.lock_counts(connection, self.org_id)
        at = now or clock
        windows = {w.key: w for dial in wanted for w in counting_windows(self.policy, dial.to, dial.destination)}
        if self.policy.spend is not None:
            await store.settle_charges(connection, self.org_id)
        seen = await _look(connection, self.org_id, self.policy, list(windows), numbers, at)
        verdicts, tally = admit(self.policy, wanted, seen, now=at)
        await self._write(connection, windows, tally, at)
        return verdicts

    async def _write(self, connection: Connection, windows: dict[str, Window], tally: Tally, at: datetime) -> None:
        counted = [windows[key] for key in sorted(tally.counts)]
        if counted:
            await store.add_counts(
                connection,
                self.org_id,
                keys=[window.key for window in counted],
                buckets=[window.bucket(at) for window in counted],
                dials=[tally.counts[window.key] for window in counted],
                oldest=[window.oldest(at) for window in counted],
            )
        if tally.charges and self.policy.spend is not None:
            await store.add_charges(
                connection,
                self.org_id,
                calls=list(tally.charges),
                day=at.astimezone(UTC).date(),
                currency=self.policy.spend.currency,
                rates=[rate for rate, _ in tally.charges.values()],
                charges=[charge for _, charge in tally.charges.values()],
            )


async def _look(
    connection: Connection,
    org_id: OrgId,
    policy: DialingPolicy,
    window_keys: Sequence[str],
    numbers: Sequence[E164],
    at: datetime,
) -> Seen:
    buckets: dict[str, dict[datetime, int]] = {}
    if window_keys:
        for row in await store.select_counts(connection, org_id, window_keys):
            buckets.setdefault(row["key"], {})[row["bucket"]] = row["dials"]
    often: dict[tuple[E164, int], int] = {}
    for seconds, _ in policy.per_number.windows():
        since = at - timedelta(seconds=seconds)
        for row in await store.select_number_counts(connection, org_id, list(set(numbers)), since=since):
            often[E164(row["to_number"]), seconds] = row["dials"]
    if policy.spend is None:
        return Seen(buckets, often)
    spent = await store.select_spend(
        connection, org_id, currency=policy.spend.currency, today=at.astimezone(UTC).date()
    )
    return Seen(buckets, often, spent["day"], spent["month"])


async def find_limit(
    connection: Connection, org_id: OrgId, rules: DialingRules, policy: DialingPolicy, to: E164, *, now: datetime
) -> DialLimitReached | None:
    """Why a dial to this number would have to wait now, for who only asks: nothing is locked, counted or settled, so
    money is what it was at the last dial. None: it would not, or `to` does not pass the rules anyway."""
    if not policy.has_limits or rules.why_not(to) is not None:
        return None
    dial = Wanted(to, rules.check(to), CallId(new_id()))
    windows = counting_windows(policy, to, dial.destination)
    seen = await _look(connection, org_id, policy, [window.key for window in windows], [to], now)
    [limit], _ = admit(policy, [dial], seen, now=now)
    return limit


async def open_gate(connection: Connection, org_id: OrgId, from_number_id: NumberId) -> Gate:
    """Raises NumberNotFound where the caller ID is not a number of the organization, NotFound without organization."""
    number = await load_number(connection, org_id, from_number_id)
    rules, policy = await load_rules(connection, org_id)
    return Gate(org_id, number, rules, policy)


async def load_rules(connection: Connection, org_id: OrgId) -> tuple[DialingRules, DialingPolicy]:
    """What the organization may dial, for who only asks and does not dial (an import, a preflight). Raises NotFound."""
    row = await store.select_rules(connection, org_id)
    if row is None:
        raise NotFound("There is no such organization.")
    policy = read_policy(row["rules"], row["settings"])
    rules = DialingRules(
        row["country"],
        frozenset(policy.allowed_countries),
        frozenset(row["own_numbers"]),
        tuple(policy.refused_prefixes),
        None if policy.spend is None else tuple(rate.prefix for rate in policy.spend.rates),
    )
    return rules, policy
