"""Contacts that come one by one, from a program: the same checks as a file's rows, in one transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.clock import utc_now
from app.db import Connection
from app.ids import CampaignId, OrgId, new_id
from campaigns.campaigns import demand_open, keep_open, select_campaign
from campaigns.imports.columns import FACTS, MOST_PHONES, PHONES, Columns
from campaigns.imports.contacts import Contact, FaultKind, RowReader, as_text
from campaigns.imports.files.rows import Block, Position, RowFault
from campaigns.imports.opening import Elsewhere
from campaigns.imports.plain_numbers import Allowed, NumberReader
from campaigns.imports.writing import store
from campaigns.imports.writing.shares import Share, numbers_of, write_contacts
from campaigns.imports.writing.told import Told
from telephony.toll_gate.gate import load_rules

_NAMES = (*PHONES, *FACTS)
_COLUMNS = Columns(
    names=_NAMES,
    phones=tuple(range(MOST_PHONES)),
    facts={name: MOST_PHONES + n for n, name in enumerate(FACTS)},
)


@dataclass(frozen=True)
class GivenContact:
    """`phones`: as written, in the order they are tried."""

    phones: Sequence[str]
    name: str | None = None
    time_zone: str | None = None
    consent_at: datetime | None = None
    consent_expires_at: datetime | None = None
    consent_source: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def cells(self) -> list[str]:
        times = [at.isoformat() if at else "" for at in (self.consent_at, self.consent_expires_at)]
        phones = [*self.phones, *[""] * MOST_PHONES][:MOST_PHONES]
        return [*phones, self.name or "", self.time_zone or "", *times, self.consent_source or ""]


@dataclass(frozen=True)
class Added:
    """What became of them; a fault's `line` counts from 1."""

    counts: Mapping[str, int]
    faults: list[store.NewFault]


async def add_contacts(
    connection: Connection,
    org_id: OrgId,
    campaign_id: CampaignId,
    given: Sequence[GivenContact],
    *,
    region: str | None = None,
    elsewhere: Elsewhere = Elsewhere.WARN,
) -> Added:
    """Into a campaign that is not finished, also while it runs. Raises CampaignNotFound, CampaignState."""
    campaign = await select_campaign(connection, org_id, campaign_id)
    demand_open(campaign.status, campaign.deleting_at)
    rules, _ = await load_rules(connection, org_id)
    numbers = NumberReader(region or campaign.region or rules.org_country)
    reader = RowReader(_COLUMNS, numbers, Allowed(rules), utc_now())
    block = _as_block(given)
    batch = reader.read(block)
    share = Share(block, [_with_variables(c, given[c.row]) for c in batch.contacts], batch.rejected, batch.warnings)
    others = {} if elsewhere is Elsewhere.ALLOW else await store.select_other_running(connection, org_id, campaign_id)
    counts, faults = await write_contacts(
        connection,
        org_id,
        campaign_id,
        # Not of an import that is kept, but told from all others: repeats among themselves are found by it.
        new_id(),
        share,
        columns=_COLUMNS,
        others=others,
        skip_elsewhere=elsewhere is Elsewhere.SKIP,
    )
    dropped = {fault.line for fault in faults if fault.kind == FaultKind.DUPLICATE}
    share.contacts = [contact for contact in share.contacts if contact.line not in dropped]
    shared = await _tell_shared(connection, campaign_id, share)
    faults = [*faults, *shared]
    await keep_open(connection, org_id, campaign_id)
    return Added(
        {**counts, "warned": counts["warned"] + len(shared)},
        sorted(faults, key=lambda fault: (fault.line, fault.ordinal)),
    )


async def _tell_shared(connection: Connection, campaign_id: CampaignId, share: Share) -> list[store.NewFault]:
    """Further numbers that are the own of contacts who are in the campaign, or that one given before has too. Further
    ones of all others are not looked for: that takes going through the campaign, as an import does."""
    further = [(contact, number) for contact in share.contacts for number in numbers_of(contact)[1:]]
    known = await store.select_known(connection, campaign_id, [number for _, number in further]) if further else {}
    told = Told(_COLUMNS, share.block)
    firsts: dict[str, int] = {}
    for contact, number in further:
        first = firsts.setdefault(number, contact.line)
        if number in known:
            told.tell(FaultKind.WARNING, contact, "another contact has this number as its own: both are called", number)
        elif first != contact.line:
            told.tell(FaultKind.WARNING, contact, f"line {first} has this number too: both are called", number)
    return told.faults


def _as_block(given: Sequence[GivenContact]) -> Block:
    rows = [contact.cells() for contact in given]
    # A contact without any number is a fault and no blank row.
    faults = [
        RowFault(line, "phone", "", "no phone number", row)
        for line, row in enumerate(rows, 1)
        if not any(map(str.strip, row))
    ]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_NAMES)
    return Block(range(1, len(rows) + 1), columns, faults, Position(), dirty=True)


def _with_variables(contact: Contact, given: GivenContact) -> Contact:
    texts = {
        as_text(name): as_text(value) if isinstance(value, str) else value for name, value in given.variables.items()
    }
    return contact._replace(variables=json.dumps(texts, ensure_ascii=False))
