"""From a CSV file to contacts: bad and repeated rows are reported, the good ones go in.

One transaction for the file: a campaign has all of its contacts or, when the file turns out broken at its end, none.
Rows are staged by COPY and then inserted from the stage, because row-level security does not let COPY write to the
table itself; the insert also finds what is repeated, against any number of rows, without holding them in memory.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from app.db import Connection, Database
from app.errors import NotFound
from app.ids import CampaignId, OrgId
from campaigns import store
from campaigns.imports.contacts_file import Chunk, ContactRow, ContactsFile, EmptyFile, RowFault
from telephony.toll_gate.destinations import DialingRules

MOST_FAULTS_KEPT = 10_000
"""Of a file with more, all are counted and these are told one by one."""


@dataclass
class ImportReport:
    """What became of a file's rows: `rows = accepted + rejected + duplicates`.

    `blocked`: of the accepted, those on the do-not-call list; they are in the campaign and are never dialed.
    `variables`: the columns that the agents get as variables. `warnings`: of the file's header.
    """

    phone_column: str
    name_column: str | None
    variables: list[str]
    warnings: list[str] = field(default_factory=list[str])
    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    blocked: int = 0
    errors: list[RowFault] = field(default_factory=list[RowFault])

    def tell(self, fault: RowFault) -> None:
        if len(self.errors) < MOST_FAULTS_KEPT:
            self.errors.append(fault)

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "duplicates": self.duplicates,
            "blocked": self.blocked,
            "phone_column": self.phone_column,
            "name_column": self.name_column,
            "variables": self.variables,
            "warnings": self.warnings,
            "errors": [
                {"line": e.line, "column": e.column, "value": e.value, "reason": e.reason}
                for e in sorted(self.errors, key=lambda e: e.line)
            ],
        }


async def import_contacts(
    db: Database,
    org_id: OrgId,
    campaign_id: CampaignId,
    file: BinaryIO,
    *,
    claims: Mapping[str, Any] | None = None,
) -> ImportReport:
    """Add the file's contacts to the campaign and keep the report with it.

    `file`: seekable, UTF-8; numbers without + are of the organization's country. `claims`: who asks, None for our own
    processes. Raises EmptyFile, NotUtf8, NoPhoneColumn, BrokenCsv; then nothing went in.
    """
    rules = await load_rules(db, org_id)
    opened = await asyncio.to_thread(ContactsFile, file, region=rules.org_country)
    async with db.system() if claims is None else db.request(claims) as connection:
        return await add_contacts(connection, org_id, campaign_id, opened, rules)


async def load_rules(db: Database, org_id: OrgId) -> DialingRules:
    """What the organization may dial."""
    async with db.system() as connection:
        row = await store.select_dialing_rules(connection, org_id)
    if row is None:
        raise NotFound("There is no such organization.")
    return DialingRules(
        row["country"], frozenset(row["settings"].get("allowed_countries", ())), frozenset(row["own_numbers"])
    )


async def add_contacts(
    connection: Connection, org_id: OrgId, campaign_id: CampaignId, opened: ContactsFile, rules: DialingRules
) -> ImportReport:
    """`import_contacts` inside the caller's transaction, with the file opened already."""
    columns = opened.columns
    report = ImportReport(
        phone_column=columns.names[columns.phone],
        name_column=None if columns.name is None else columns.names[columns.name],
        variables=[name for i, name in enumerate(columns.names) if i not in (columns.phone, columns.name)],
        warnings=list(columns.warnings),
    )
    await store.create_import_stage(connection)
    chunks = opened.chunks()
    while (chunk := await asyncio.to_thread(_next_chunk, chunks, rules, report.phone_column)) is not None:
        await _add_chunk(connection, org_id, campaign_id, chunk, report)
    if report.rows == 0:
        raise EmptyFile("The file has column names and no contact under them.")
    await store.set_import_report(connection, campaign_id, report.to_json())
    return report


def _next_chunk(chunks: Iterator[Chunk], rules: DialingRules, phone_column: str) -> Chunk | None:
    """The next rows, without what the toll gate would refuse; None at the end, because StopIteration cannot cross the
    border of a thread."""
    chunk = next(chunks, None)
    if chunk is None:
        return None
    allowed: list[ContactRow] = []
    for contact in chunk.contacts:
        reason = rules.why_not(contact.phone)
        if reason is None:
            allowed.append(contact)
        else:
            chunk.faults.append(RowFault(contact.line, phone_column, contact.phone_as_written, reason))
    return Chunk(allowed, chunk.faults)


async def _add_chunk(
    connection: Connection, org_id: OrgId, campaign_id: CampaignId, chunk: Chunk, report: ImportReport
) -> None:
    await store.stage_contacts(connection, chunk.contacts)
    added = await store.insert_staged_contacts(connection, org_id, campaign_id)
    repeated = await store.select_staged_repeats(connection, campaign_id)
    written = {contact.line: contact.phone_as_written for contact in chunk.contacts}
    report.rows += len(chunk.contacts) + len(chunk.faults)
    report.accepted += added.waiting + len(added.blocked_lines)
    report.blocked += len(added.blocked_lines)
    report.rejected += len(chunk.faults)
    report.duplicates += len(repeated)
    for fault in chunk.faults:
        report.tell(fault)
    for line in added.blocked_lines:
        report.tell(RowFault(line, report.phone_column, written[line], "on the do-not-call list: never dialed"))
    for line, first_line in repeated:
        reason = "in this campaign already" if first_line is None else f"repeats line {first_line}"
        report.tell(RowFault(line, report.phone_column, written[line], reason))
