"""Which column of a contacts file is what: guessed by its name, then by what is in it; changed by whoever asks."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.errors import InvalidInput
from campaigns.imports.plain_numbers import NumberReader

MOST_PHONES = 9
PHONES = ("phone", *(f"phone{n}" for n in range(2, MOST_PHONES + 1)))
FACTS = ("name", "time_zone", "consent_at", "consent_expires_at", "consent_source")
TARGETS = (*PHONES, *FACTS)
"""What a column may be mapped to beside variables."""

_WORDS: Mapping[str, tuple[str, ...]] = {
    "name": (
        *("name", "fullname", "contact", "contactname", "customer", "customername", "firstname", "vorname"),
        *("nombre", "nom", "nome"),
    ),
    "time_zone": ("timezone", "tz", "zone", "zeitzone", "zonahoraria"),
    "consent_at": ("consentat", "consentdate", "consentedat", "optindate", "optinat", "optedinat"),
    "consent_expires_at": ("consentexpiresat", "consentexpires", "consentexpiry", "consentuntil"),
    "consent_source": ("consentsource", "optinsource", "leadsource"),
}
_PHONE_WORDS = (
    *("phone", "phonenumber", "mobile", "mobilephone", "cell", "cellphone", "telephone", "tel", "msisdn", "number"),
    *("telefon", "handy", "telefonnummer", "telefono", "celular", "movil", "telefone", "numero"),
)
_PHONE_PARTS = ("phone", "mobile", "telefon", "celular")
_MAYBE_PHONES = ("number", "numero")
_NO_PHONES = ("type", "country", "code", "carrier", "ext", "note", "ok", "verified", "consent")
LOOKS_LIKE_PHONES = 0.8
SAMPLE_ROWS = 100


class NoPhoneColumn(InvalidInput):
    """No column's name says that it holds phone numbers, nor what is in it; `extra["columns"]` are those found."""

    code = "no_phone_column"
    title = "No phone column"


class NoHeader(InvalidInput):
    """The first line is a contact already: taken for names of columns, it would be lost."""

    code = "no_header"
    title = "No line of column names"


class NoSuchColumn(InvalidInput):
    """The mapping names a column that the file does not have, or one column twice."""

    code = "no_such_column"
    title = "No such column"


class ColumnWishes(BaseModel):
    """What whoever imports says of the columns. `columns`: from phone, phone2 … phone9, name, time_zone, consent_at,
    consent_expires_at, consent_source, or a variable's name, to the name of a column. `ignore`: columns left out. What
    is not said is guessed."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"columns": {"phone": "Mobile", "appointment": "Appt. time"}, "ignore": ["Notes"]}]
        },
    )

    columns: dict[str, str] = Field(default_factory=dict, max_length=500)
    ignore: list[str] = Field(default_factory=list, max_length=500)


@dataclass(frozen=True)
class Columns:
    """The header with a name of its own for every column, and what each was taken for, by index. `facts`: name,
    time_zone and so on. `variables`: name of the variable → index. `warnings`: what is probably not meant."""

    names: tuple[str, ...]
    phones: tuple[int, ...]
    facts: Mapping[str, int] = field(default_factory=dict[str, int])
    variables: Mapping[str, int] = field(default_factory=dict[str, int])
    warnings: tuple[str, ...] = ()

    @property
    def phone(self) -> int:
        return self.phones[0]

    def fact(self, name: str) -> int | None:
        return self.facts.get(name)

    def to_json(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "phones": list(self.phones),
            "facts": dict(self.facts),
            "variables": dict(self.variables),
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Columns":
        return cls(
            tuple(stored["names"]),
            tuple(stored["phones"]),
            stored["facts"],
            stored["variables"],
            tuple(stored["warnings"]),
        )

    def mapping(self) -> dict[str, str]:
        """Target → column, as ColumnWishes takes it."""
        phones = {PHONES[n]: self.names[index] for n, index in enumerate(self.phones)}
        rest = {name: self.names[index] for name, index in (*self.facts.items(), *self.variables.items())}
        return phones | rest


def map_columns(
    header: Sequence[str],
    *,
    sample: Sequence[Sequence[str]] = (),
    numbers: NumberReader | None = None,
    wishes: ColumnWishes | None = None,
    needed: Sequence[str] = (),
) -> Columns:
    """What each column is. `sample`: the first cells of each column; `needed`: the variables that the team's texts
    use, which columns spelled a little differently are taken for. Raises NoPhoneColumn, NoSuchColumn, NoHeader."""
    wishes = wishes or ColumnWishes()
    names = name_columns(header)
    chosen = _read_wishes(wishes, names)
    ignored = {_find(name, names) for name in wishes.ignore}
    free = [i for i in range(len(names)) if i not in ignored and i not in chosen.values()]
    phones = [chosen[name] for name in PHONES if name in chosen]
    warnings = _warn_of_repeats([raw.strip() for raw in header], names)
    if "phone" not in chosen:
        guessed = _guess_phones(names, free)
        if not guessed:
            guessed = _look_for_phones(names, free, sample, numbers)
            warnings += [f'Column "{names[i]}" was taken for the phone number by what is in it.' for i in guessed]
        phones = (guessed + phones)[:MOST_PHONES]
    if not phones:
        raise _no_phone(names, chosen)
    if (first := next((names[i] for i in phones if _is_number(names[i], numbers)), None)) is not None:
        raise NoHeader(
            f'The first line must name the columns, and it has the number "{first}": put a line like "phone,name" '
            "above it."
        )
    free = [i for i in free if i not in phones]
    facts = {name: chosen[name] for name in FACTS if name in chosen}
    # A contact's name is `{{ name }}` to the team anyway; any other column that its texts ask for stays a variable.
    asked = {plain(name) for name in needed if name != "name"}
    for name, words in _WORDS.items():
        if name in facts:
            continue
        found = _first_match(names, [i for i in free if plain(names[i]) not in asked], words)
        if found is not None:
            facts[name] = found
            free.remove(found)
    variables = {name: index for name, index in chosen.items() if name not in TARGETS}
    variables |= _name_variables(names, free, [name for name in needed if name not in variables])
    return Columns(names, tuple(phones), facts, variables, tuple(warnings))


def name_columns(header: Sequence[str]) -> tuple[str, ...]:
    """Every column with a name of its own: the second "note" is "note_2", one without a name "column_3"."""
    names: list[str] = []
    seen: set[str] = set()
    for index, raw in enumerate(header):
        name = " ".join(raw.replace("\x00", "").split()) or f"column_{index + 1}"
        while name in seen:
            name = f"{name}_{index + 1}"
        names.append(name)
        seen.add(name)
    return tuple(names)


def plain(name: str) -> str:
    """A name without case, spaces and marks: "Appt. Time" is "appttime"."""
    return "".join(character for character in name.casefold() if character.isalnum())


def warn_of_missing(columns: Columns, needed: Mapping[str, str]) -> list[str]:
    """For each variable that the team's texts use and the file does not bring. `needed`: name → the team's default."""
    there = {*columns.variables, *(["name"] if "name" in columns.facts else [])}
    return [
        f"The team's texts use {{{{ {name} }}}}, and no column brings it: "
        + (f'"{default}" is said instead.' if default else "nothing is said there.")
        for name, default in needed.items()
        if name not in there
    ]


def _read_wishes(wishes: ColumnWishes, names: Sequence[str]) -> dict[str, int]:
    chosen: dict[str, int] = {}
    for target, column in wishes.columns.items():
        index = _find(column, names)
        if index in chosen.values():
            raise NoSuchColumn(f'Column "{column}" is mapped twice.', columns=list(names[:50]))
        chosen[target] = index
    if "phone" not in chosen and any(name in chosen for name in PHONES[1:]):
        raise NoSuchColumn("Map phone before phone2 and the rest: the first number is the contact's own.")
    return chosen


def _find(column: str, names: Sequence[str]) -> int:
    if column in names:
        return names.index(column)
    alike = [index for index, name in enumerate(names) if plain(name) == plain(column)]
    if len(alike) == 1:
        return alike[0]
    found = ", ".join(names[:20])
    raise NoSuchColumn(f'The file has no column "{column}". It has: {found}.', columns=list(names[:50]))


def _guess_phones(names: Sequence[str], free: Sequence[int]) -> list[int]:
    """The column that is called most like a number, then the others that are, in the file's order."""
    found = [i for word in _PHONE_WORDS for i in free if plain(names[i]) == word]
    near = [i for i in free if _says_phone(plain(names[i]))]
    numbered = [i for i in free if re.fullmatch(r"(phone|mobile|cell|tel|telephone|telefon)\d", plain(names[i]))]
    first = (found or near or numbered)[:1]
    # "number" or "tel" beside "phone" may be anything; only what says phone is another number.
    return first + [i for i in free if i in (*near, *numbered) and i not in first]


def is_phone_name(name: str) -> bool:
    """Whether a column called so holds phone numbers, were it beside others that do."""
    word = plain(name)
    return _says_phone(word) or (word in _PHONE_WORDS and word not in _MAYBE_PHONES)


def _says_phone(word: str) -> bool:
    return any(part in word for part in _PHONE_PARTS) and not any(other in word for other in _NO_PHONES)


def _look_for_phones(
    names: Sequence[str], free: Sequence[int], sample: Sequence[Sequence[str]], numbers: NumberReader | None
) -> list[int]:
    """The one column in which nearly every cell of the sample is a phone number; none where several are."""
    if numbers is None or not sample:
        return []
    found: list[int] = []
    for index in free:
        cells = [cell for cell in sample[index][:SAMPLE_ROWS] if cell.strip()]
        good = sum(numbers.can_read(cell) for cell in cells)
        if cells and good >= LOOKS_LIKE_PHONES * len(cells):
            found.append(index)
    return found if len(found) == 1 else []


def _is_number(name: str, numbers: NumberReader | None) -> bool:
    """Not a name that anybody gives a column of numbers: one of them, if a wrong one."""
    wordless = len(re.findall(r"\d", name)) >= 5 and not any(map(str.isalpha, name))
    return wordless or (numbers is not None and numbers.can_read(name))


def _name_variables(names: Sequence[str], free: Sequence[int], needed: Sequence[str]) -> dict[str, int]:
    """Every column left is a variable of its own name, or of the needed one that it is spelled like."""
    by_spelling = {plain(name): name for name in needed}
    variables: dict[str, int] = {}
    for index in free:
        wanted = by_spelling.get(plain(names[index]))
        name = wanted if wanted and wanted not in variables and wanted not in names else names[index]
        variables[name] = index
    return variables


def _first_match(names: Sequence[str], free: Sequence[int], words: Sequence[str]) -> int | None:
    return next((i for word in words for i in free if plain(names[i]) == word), None)


def _warn_of_repeats(header: Sequence[str], names: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    warnings: list[str] = []
    for index, raw in enumerate(header):
        if raw and raw in seen:
            warnings.append(
                f'Column {index + 1} is called "{raw}" like an earlier one; it is read as "{names[index]}".'
            )
        seen.add(raw)
    return warnings


def _no_phone(names: Sequence[str], chosen: Mapping[str, int]) -> NoPhoneColumn:
    taken = next(((target, names[i]) for target, i in chosen.items() if _guess_phones(names, [i])), None)
    if taken is not None:
        return NoPhoneColumn(
            f'No column with phone numbers is left: "{taken[1]}" was mapped to {taken[0]}; map it to phone: '
            f'--map "phone={taken[1]}".',
            columns=list(names[:50]),
        )
    found = ", ".join(names[:20])
    hint = " Is the line of column names missing?" if any(re.search(r"\d{7}", name) for name in names) else ""
    return NoPhoneColumn(
        f'No column with phone numbers. The first line has: {found}. Name one of them "phone", or say which it is: '
        f"--map phone=COLUMN.{hint}",
        columns=list(names[:50]),
    )
