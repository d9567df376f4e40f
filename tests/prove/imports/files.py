"""Files that hurt, each with what must come of it; and large ordinary ones whose rows are known beforehand."""

import gzip
import io
import random
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import openpyxl

NUMBER = "+12025550142"
TWELVE_FORMS = (
    "+12025550142",
    "12025550142",
    "2025550142",
    "(202) 555-0142",
    "202-555-0142",
    "202.555.0142",
    "1-202-555-0142",
    "+1 (202) 555-0142",
    "1 202 555 0142",
    "202 555 0142",
    "011 1 202 555 0142",
    '="2025550142"',
)
LOOK_ALIKES = "phone\n2O2555O11O\n+1202555\u041e111\n202555\u00b2110\n"
OTHER_DIGITS = (
    "phone\n\u0662\u0660\u0662\u0665\u0665\u0665\u0660\u0661\u0661\u0660\n"
    "\uff12\uff10\uff12\uff15\uff15\uff15\uff10\uff11\uff11\uff11\n"
)
NOT_DIALED = b'phone\n+12025550110;ext=5\ntel:+12025550110\n"+12025550110\r\nX-A: b"\nsip:x@y\n'


@dataclass(frozen=True)
class Hostile:
    """A file and what must come of it: the phones that go in, in order, or None where it must be refused."""

    name: str
    make: Callable[[Path], None]
    phones: tuple[str, ...] | None


def hostile_files(line_bytes: int, columns: int) -> list[Hostile]:
    """`line_bytes`: of the single line; `columns`: of the wide header."""
    good = ("+12025550110", "+12025550111")
    text = "phone,name\n+12025550110,Zo\u00eb\n+12025550111,Bo\n"
    forms = 'phone\n"' + '"\n"'.join(form.replace('"', '""') for form in TWELVE_FORMS) + '"\n'
    return [
        Hostile(f"one line of {line_bytes:,} bytes", lambda p: _sparse(p, line_bytes), None),
        Hostile("one quoted line without an end", lambda p: _write(p, b'phone\n"' + b"x" * 40_000_000), None),
        Hostile("one JSON text without an end", lambda p: _write(p, b'[{"phone": "' + b"1" * 40_000_000), None),
        Hostile("JSON nested a million deep", lambda p: _write(p, b"[" * 1_000_000), None),
        Hostile(f"{columns:,} columns", lambda p: _write(p, b",".join(b"c%d" % n for n in range(columns))), None),
        Hostile("JSON with a million keys", _many_keys, None),
        Hostile("a zip bomb", _zip_bomb, None),
        Hostile("a gzip bomb", lambda p: _write(p, gzip.compress(b"\0" * 50_000_000)), None),
        Hostile("a workbook that unpacks to 600 times its size", _workbook_bomb, None),
        Hostile("a workbook that lies about its size", _lying_workbook, None),
        Hostile("a workbook of entities in entities", _laughing_workbook, None),
        Hostile("a workbook with a cell in its last corner", _corner_workbook, ("+12025550110",)),
        Hostile("UTF-16", lambda p: _write(p, text.encode("utf-16")), good),
        Hostile("UTF-16 without a mark", lambda p: _write(p, text.encode("utf-16-be")), good),
        Hostile("Latin letters of Windows", lambda p: _write(p, text.encode("cp1252")), good),
        Hostile("NULs in a cell", lambda p: _write(p, text.replace("Bo", "B\0o").encode()), good[:1]),
        Hostile("nothing but NULs", lambda p: _write(p, b"\0" * 1_000_000), None),
        Hostile("a quote that never closes", lambda p: _write(p, f'{text}+12025550112,"Cy\nDi\n'.encode()), None),
        Hostile("formulas", lambda p: _write(p, b'phone,name\n+12025550110,=1+1\n"=A(""x"")",Bo\n'), good[:1]),
        Hostile("letters that look like digits", lambda p: _write(p, LOOK_ALIKES.encode()), ()),
        Hostile("digits of other scripts", lambda p: _write(p, OTHER_DIGITS.encode()), good),
        Hostile("one number in twelve forms", lambda p: _write(p, forms.encode()), (NUMBER,)),
        Hostile("extensions, schemes and headers", lambda p: _write(p, NOT_DIALED), ()),
        Hostile("mixed line ends", lambda p: _write(p, b"phone,name\r\n+12025550110,A\n+12025550111,B\r"), good),
    ]


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.write(b"phone,")
        file.seek(6)
        chunk = b"x" * (1 << 20)
        file.write(chunk * 4)
        # The rest takes no room on the disk; nobody may come as far as to see that it is of another kind.
        file.truncate(size)


def _many_keys(path: Path) -> None:
    _write(path, b"[{" + b",".join(b'"k%d":1' % n for n in range(1_000_000)) + b"}]")


def _zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for n in range(4):
            package.writestr(f"{n}.csv", b"\0" * 20_000_000)


def _workbook(path: Path, sheet: bytes, *, shared: bytes = b"") -> None:
    """A real workbook whose first sheet is replaced."""
    book, plain = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["phone"])
    book.save(plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for part in source.infolist():
            data = sheet if part.filename == "xl/worksheets/sheet1.xml" else source.read(part)
            package.writestr(part.filename, shared if shared and part.filename.endswith("sharedStrings.xml") else data)


_SHEET = (
    '<?xml version="1.0"?>{0}<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    "<sheetData>{1}</sheetData></worksheet>"
)


def _cell(at: str, text: str) -> str:
    return f'<c r="{at}" t="inlineStr"><is><t>{text}</t></is></c>'


def _workbook_bomb(path: Path) -> None:
    _workbook(path, _SHEET.format("", "<row/>" * 10_000_000).encode())


def _lying_workbook(path: Path) -> None:
    """The directory says that the sheet is small."""
    rows = f'<row r="1">{_cell("A1", "phone")}</row>' + "<row/>" * 3_000_000
    _workbook(path, _SHEET.format("", rows).encode())
    data = bytearray(path.read_bytes())
    size = len(_SHEET.format("", rows).encode()).to_bytes(4, "little")
    at = data.find(size)
    while at >= 0:
        data[at : at + 4] = (500).to_bytes(4, "little")
        at = data.find(size, at)
    path.write_bytes(data)


def _laughing_workbook(path: Path) -> None:
    levels = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    _workbook(path, _SHEET.format(f"<!DOCTYPE x [{levels}]>", f'<row r="1">{_cell("A1", "&a11;")}</row>').encode())


def _corner_workbook(path: Path) -> None:
    rows = f'<row r="1">{_cell("A1", "phone")}</row><row r="2">{_cell("A2", "+12025550110")}</row>'
    _workbook(path, _SHEET.format("", f'{rows}<row r="1048576">{_cell("XFD1048576", "x")}</row>').encode())


@dataclass(frozen=True)
class KnownRow:
    """A line of a generated file. `phone`: the number that it brings, None for a bad one."""

    line: int
    text: str
    phone: str | None
    name: str


def known_rows(count: int, seed: int) -> Iterator[KnownRow]:
    """What people send: numbers in several forms, names with commas, quotes, line breaks and accents, bad rows and
    repeats. Each row knows what must come of it, without any reader's help."""
    rng = random.Random(seed)
    line = 2
    for n in range(count):
        digits = f"{202 + 101 * rng.randrange(3)}{200 + rng.randrange(700):03}{rng.randrange(10_000):04}"
        # Exchanges and numbers that are not dialed: those are for other proofs.
        if digits[3:6] == "976" or digits[4:6] == "11" or digits[3:] == "5551212":
            digits = f"{digits[:3]}5550{digits[7:]}"
        if digits == "2025550101":
            digits = "2025550102"
        form = rng.choice(["+1{0}{1}{2}", "({0}) {1}-{2}", "{0}-{1}-{2}", "1 {0} {1} {2}", "{0}.{1}.{2}"])
        written = form.format(digits[:3], digits[3:6], digits[6:])
        name = rng.choice(["Ada", "Zo\u00eb", 'Bo "Bob", Jr', "Cy\nEk", "Di"]) + f" {n}"
        bad = rng.random() < 0.01
        if bad:
            written = rng.choice(["", "12", "n/a", "1.20256E+11", "5550142"])
        quoted = '"' + name.replace('"', '""') + '"' if any(c in name for c in '",\n') else name
        yield KnownRow(line, f"{written},{quoted},slot {n % 48}\n", None if bad else f"+1{digits}", name)
        line += 1 + name.count("\n")


def write_known(path: Path, count: int, seed: int) -> None:
    with path.open("w", newline="") as file:
        file.write("phone,name,slot\n")
        file.writelines(row.text for row in known_rows(count, seed))
