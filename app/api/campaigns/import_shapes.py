"""What imports of contacts look like over REST."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.api.wire.values import Region
from campaigns.imports.columns import MOST_PHONES
from campaigns.imports.contacts import FaultKind
from campaigns.imports.opening import Elsewhere

_FAULT: dict[str, Any] = {
    "line": 7,
    "kind": "rejected",
    "column": "phone",
    "value": "12",
    "reason": "Not a phone number: too short.",
}
_COUNTS = {"rows": 24, "accepted": 21, "rejected": 2, "duplicates": 1, "blocked": 0, "warned": 0}
_MAPPING: dict[str, Any] = {"phone": "Mobile", "name": "Full name", "appointment": "Appt. time"}


class ImportStatus(StrEnum):
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class FaultOut(BaseModel):
    """What is to be said of one row."""

    model_config = ConfigDict(json_schema_extra={"examples": [_FAULT]})

    line: int
    kind: FaultKind
    column: str
    value: str
    reason: str


class NewImport(BaseModel):
    """The fields beside the file. `columns`: JSON, target → column (targets: phone … phone9, name, time_zone,
    consent_at, consent_expires_at, consent_source, or a variable's name); what is not said is guessed. `ignore`: JSON,
    columns to leave out. `region`: ISO 3166, of numbers without a country. `elsewhere`: numbers that wait in another
    running campaign."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "campaign_id": "0199f2a4-6f0e-7c60-9d0b-000000000020",
                    "columns": {"phone": "Mobile"},
                    "ignore": ["Notes"],
                    "region": "US",
                    "elsewhere": "skip",
                }
            ]
        },
    )

    campaign_id: UUID
    columns: dict[str, str] = Field(default_factory=dict, max_length=500)
    ignore: list[str] = Field(default_factory=list, max_length=500)
    region: Region | None = None
    encoding: str | None = Field(None, max_length=40)
    elsewhere: Elsewhere = Elsewhere.WARN


class NewPreview(BaseModel):
    """The same, of a campaign that is there, or for the team of one to be: to see what its texts will miss."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"team": "harbor-dental", "columns": {"phone": "Mobile"}}]}
    )

    campaign_id: UUID | None = None
    team: str | None = Field(None, max_length=63)
    columns: dict[str, str] = Field(default_factory=dict, max_length=500)
    ignore: list[str] = Field(default_factory=list, max_length=500)
    region: Region | None = None
    encoding: str | None = Field(None, max_length=40)


class ImportOut(BaseModel):
    """An import, as far as it is: `rows = accepted + rejected + duplicates`. `blocked`: of the accepted, those on the
    do-not-call list; `warned`: remarks about accepted rows. `errors`: the first of what is to be said of rows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f2a4-6f0e-7c60-9d0b-000000000031",
                    "campaign_id": "0199f2a4-6f0e-7c60-9d0b-000000000020",
                    "status": "finished",
                    "file_name": "contacts.csv",
                    "bytes": 2048,
                    "sha256": "9f" * 32,
                    "dialect": {"format": "csv", "encoding": "utf-8", "delimiter": ",", "sheet": ""},
                    "mapping": _MAPPING,
                    **_COUNTS,
                    "warnings": [],
                    "errors": [_FAULT],
                    "error": None,
                    "created_at": "2026-11-20T17:39:00Z",
                    "finished_at": "2026-11-20T17:39:01Z",
                }
            ]
        }
    )

    id: UUID
    campaign_id: UUID
    status: ImportStatus
    file_name: str
    bytes: int
    sha256: str
    dialect: dict[str, str]
    mapping: dict[str, str]
    rows: int
    accepted: int
    rejected: int
    duplicates: int
    blocked: int
    warned: int
    warnings: list[str]
    errors: list[FaultOut]
    error: str | None
    created_at: datetime
    finished_at: datetime | None


class PreviewContact(BaseModel):
    """A row as it would go in."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "line": 2,
                    "phone": "+12025550142",
                    "phones": ["+12025550142"],
                    "name": "Ada Bell",
                    "time_zone": None,
                    "consent_at": None,
                    "consent_expires_at": None,
                    "consent_source": None,
                    "variables": {"appointment": "Tuesday"},
                }
            ]
        }
    )

    line: int
    phone: str
    phones: list[str]
    name: str | None
    time_zone: str | None
    consent_at: datetime | None
    consent_expires_at: datetime | None
    consent_source: str | None
    variables: dict[str, Any]


class PreviewOut(BaseModel):
    """What the file would be read as. `checked`, `good`: how many of its first rows were looked at, and how many of
    them would go in."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "dialect": {"format": "csv", "encoding": "utf-8", "delimiter": ",", "sheet": ""},
                    "region": "US",
                    "columns": ["Full name", "Mobile", "Appt. time"],
                    "mapping": _MAPPING,
                    "ignored": [],
                    "contacts": [],
                    "checked": 24,
                    "good": 22,
                    "faults": [_FAULT],
                    "warnings": ["The team's texts use {{ day }}, and no column brings it: nothing is said there."],
                }
            ]
        }
    )

    dialect: dict[str, str]
    region: str
    columns: list[str]
    mapping: dict[str, str]
    ignored: list[str]
    contacts: list[PreviewContact]
    checked: int
    good: int
    faults: list[FaultOut]
    warnings: list[str]


class NewContact(BaseModel):
    """One contact. `phones`: in the order they are tried, in any national form; the first is its identity."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "phones": ["(202) 555-0142"],
                    "name": "Ada Bell",
                    "time_zone": "America/New_York",
                    "consent_at": "2026-03-01T00:00:00Z",
                    "variables": {"appointment": "on Tuesday at nine"},
                }
            ]
        },
    )

    phones: list[Annotated[str, Field(max_length=100)]] = Field(min_length=1, max_length=MOST_PHONES)
    name: str | None = Field(None, max_length=500)
    time_zone: str | None = Field(None, max_length=64)
    consent_at: datetime | None = None
    consent_expires_at: datetime | None = None
    consent_source: str | None = Field(None, max_length=500)
    variables: dict[Annotated[str, Field(max_length=200)], str | int | float | bool | None] = Field(
        default_factory=dict, max_length=500
    )


class NewContacts(BaseModel):
    """At most 5,000 at once."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"contacts": [{"phones": ["+12025550142"], "name": "Ada Bell"}], "elsewhere": "skip"}]
        },
    )

    contacts: list[NewContact] = Field(min_length=1, max_length=5_000)
    region: Region | None = None
    elsewhere: Elsewhere = Elsewhere.WARN


class AddedOut(BaseModel):
    """What became of them; `line` counts from 1."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_COUNTS, "errors": [_FAULT]}]})

    rows: int
    accepted: int
    rejected: int
    duplicates: int
    blocked: int
    warned: int
    errors: list[FaultOut]


def _upload(fields: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    schema = fields.model_json_schema()
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file", *schema.get("required", [])],
                        "properties": {
                            "file": {
                                "type": "string",
                                "format": "binary",
                                "description": "CSV in any encoding, XLSX, JSON or JSON Lines.",
                            },
                            # One level: the form has no place for definitions.
                            **{name: {"description": name} for name in schema["properties"]},
                        },
                    },
                    "example": {"file": "Full name,Mobile\nAda Bell,(202) 555-0142\n", **example},
                }
            },
        }
    }


UPLOAD_IMPORT = _upload(NewImport, {"campaign_id": "0199f2a4-6f0e-7c60-9d0b-000000000020"})
UPLOAD_PREVIEW = _upload(NewPreview, {"team": "harbor-dental"})
"""The documentation of the forms, which are read by hand."""
