"""Which column of a contacts file is what, by its name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import InvalidInput

PHONE_COLUMNS = (
    "phone",
    "phonenumber",
    "mobile",
    "mobilephone",
    "cell",
    "cellphone",
    "telephone",
    "tel",
    "msisdn",
    "number",
)
NAME_COLUMNS = ("name", "fullname", "contact", "contactname", "customer", "customername", "firstname")


class NoPhoneColumn(InvalidInput):
    """No column's name says that it holds phone numbers; `extra["columns"]` are those found."""

    code = "no_phone_column"
    title = "No phone column"


@dataclass(frozen=True)
class Columns:
    """The header and what its columns were taken for, by index; all that are neither become variables.

    `warnings`: what is probably not meant."""

    names: tuple[str, ...]
    phone: int
    name: int | None
    warnings: tuple[str, ...] = ()


def guess_columns(header: Sequence[str]) -> Columns:
    """Which column holds the phone number, and which the name. Raises NoPhoneColumn, naming what is there."""
    names = _name_columns(header)
    plain = [re.sub(r"[^a-z]", "", name.lower()) for name in names]
    phone = _first_match(plain, PHONE_COLUMNS)
    if phone is None:
        phone = next((i for i, name in enumerate(plain) if "phone" in name or "mobile" in name), None)
    if phone is None:
        found = ", ".join(names[:20])
        raise NoPhoneColumn(
            f'No column with phone numbers. The first line has: {found}. Name one of them "phone".',
            columns=list(names[:20]),
        )
    warnings = _warn_of_repeats([raw.strip() for raw in header], names)
    return Columns(names, phone, _first_match(plain, NAME_COLUMNS), warnings)


def _first_match(plain: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((plain.index(word) for word in wanted if word in plain), None)


def _warn_of_repeats(header: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        f'Column {i + 1} is called "{raw}" like an earlier one; it is read as "{names[i]}".'
        for i, raw in enumerate(header)
        if raw and raw in header[:i]
    )


def _name_columns(header: Sequence[str]) -> tuple[str, ...]:
    """Every column with a name of its own: the second "note" is "note_2", one without a name "column_3"."""
    names: list[str] = []
    for index, raw in enumerate(header):
        name = raw.strip() or f"column_{index + 1}"
        while name in names:
            name = f"{name}_{index + 1}"
        names.append(name)
    return tuple(names)
