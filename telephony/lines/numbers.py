"""Phone numbers: reading them, and the ones that we own."""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import phonenumbers

from app.db import Connection
from app.errors import Conflict, InvalidInput, NotFound
from app.ids import E164, NumberId, OrgId, TeamId, TrunkId, new_id
from telephony.carriers.base import CarrierName
from telephony.lines import store

_WRITTEN = re.compile(r"[+\uff0b]?[\s()\d./\u00ad\u2010-\u2015\u2212-]*")
"""What a number on paper is made of: digits, and the marks that people put between them."""


class InvalidNumber(InvalidInput):
    """Not a phone number that could exist."""

    code = "invalid_number"
    title = "Invalid phone number"


class NumberTaken(Conflict):
    """Some organization of this installation has that number."""

    code = "number_taken"
    title = "Number taken"


class NumberNotFound(NotFound):
    """The organization owns no such number."""

    code = "number_not_found"


@dataclass(frozen=True)
class Number:
    """A number of ours; `team_id` is what answers it, or None."""

    id: NumberId
    org_id: OrgId
    e164: E164
    name: str
    carrier: CarrierName
    trunk_id: TrunkId | None
    team_id: TeamId | None
    created_at: datetime


def parse_number(text: str, region: str) -> E164:
    """What a person wrote, in E.164; `region` (ISO 3166) gives the country where no + is written.

    Only the length and shape that a country uses are checked: whether the number is assigned, the network says.
    Raises InvalidNumber.
    """
    written = text.strip()
    if any(character.isalpha() for character in written):
        raise InvalidNumber("Not a phone number: write it in digits; letters and extensions are not dialed.")
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException as error:
        raise InvalidNumber(f"Not a phone number: {_why(error)}.") from error
    if number.extension:
        raise InvalidNumber("A number with an extension cannot be dialed.")
    if not _WRITTEN.fullmatch(written):
        raise InvalidNumber("Not a phone number: it has characters that are not dialed.")
    if _is_short(written, number, region):
        raise InvalidNumber("Emergency and short numbers are not dialed.")
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible == phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        raise InvalidNumber("Not a phone number: too short, the area code is missing.")
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise InvalidNumber("Not a phone number: too long, too short, or no such country code.")
    return E164(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _is_short(written: str, number: phonenumbers.PhoneNumber, region: str) -> bool:
    """Whether it is one that a network answers itself: 911, 112, 11833; with a country code before it, too."""
    country = phonenumbers.region_code_for_country_code(number.country_code or 0)
    if phonenumbers.is_emergency_number(str(number.national_number), country):
        return True
    digits = re.sub(r"\D", "", written)
    if written.startswith("+") or len(digits) not in range(3, 7):
        return False
    possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    return not possible or phonenumbers.is_valid_short_number_for_region(number, region)


def _why(error: phonenumbers.NumberParseException) -> str:
    reasons = {
        phonenumbers.NumberParseException.INVALID_COUNTRY_CODE: "no country code, or none that exists",
        phonenumbers.NumberParseException.TOO_LONG: "too long",
    }
    return reasons.get(error.error_type, "too short, or no digits in it")


def parse_dialed(text: str) -> E164:
    """The number a carrier says was dialed. Carriers write the international form with "+", with "00" or bare.

    A SIP address is accepted too (its user part counts). Raises InvalidNumber.
    """
    user = re.sub(r"^(sips?|tel):", "", text.strip(), flags=re.IGNORECASE).split("@")[0].split(";")[0]
    digits = re.sub(r"[\s().-]", "", user)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    elif not digits.startswith("+"):
        digits = "+" + digits
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", digits):
        raise InvalidNumber("What was dialed is not an international phone number.")
    return E164(digits)


async def add_number(
    connection: Connection,
    org_id: OrgId,
    *,
    e164: E164,
    carrier: CarrierName,
    name: str = "",
    trunk_id: TrunkId | None = None,
) -> Number:
    """Make the number ours. Raises NumberTaken."""
    try:
        await store.insert_number(
            connection,
            number_id=new_id(),
            org_id=org_id,
            e164=e164,
            name=name,
            carrier=carrier,
            trunk_id=trunk_id,
        )
    except asyncpg.UniqueViolationError as error:
        raise NumberTaken("That number is in use already.") from error
    return await find_number(connection, org_id, e164)


async def list_numbers(
    connection: Connection, org_id: OrgId, *, before: tuple[datetime, UUID] | None = None, limit: int | None = None
) -> list[Number]:
    """Newest first; `before`: the instant and id of the last one seen."""
    return [_read_number(row) for row in await store.select_numbers(connection, org_id, before=before, limit=limit)]


async def find_number(connection: Connection, org_id: OrgId, e164: E164) -> Number:
    """Raises NumberNotFound."""
    row = await store.select_number(connection, org_id, e164=e164)
    if row is None:
        raise NumberNotFound("The organization has no such number.")
    return _read_number(row)


async def load_number(connection: Connection, org_id: OrgId, number_id: NumberId | UUID) -> Number:
    """Raises NumberNotFound."""
    row = await store.select_number(connection, org_id, number_id=number_id)
    if row is None:
        raise NumberNotFound("The organization has no such number.")
    return _read_number(row)


def _read_number(row: asyncpg.Record) -> Number:
    return Number(
        id=row["id"],
        org_id=row["org_id"],
        e164=row["e164"],
        name=row["name"],
        carrier=CarrierName(row["carrier"]),
        trunk_id=row["trunk_id"],
        team_id=row["team_id"],
        created_at=row["created_at"],
    )
