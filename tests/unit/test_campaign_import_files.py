"""What a file of contacts is read as, whatever kind it is, and how a bad one is refused."""

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime, time
from itertools import pairwise

import openpyxl
import pytest

from campaigns.imports.columns import NoHeader, NoPhoneColumn
from campaigns.imports.contacts import Contact
from campaigns.imports.files import csv_rows
from campaigns.imports.files.csv_rows import CsvFile
from campaigns.imports.files.rows import BrokenFile, EmptyFile, RowFault, UnknownFormat
from campaigns.imports.opening import ImportOptions, Needs, open_import
from telephony.toll_gate.destinations import DialingRules

NOW = datetime(2026, 11, 20, tzinfo=UTC)
NEEDS = Needs(DialingRules("US"), None, {})


async def read(text: str | bytes, **options: object) -> tuple[list[Contact], list[RowFault]]:
    raw = text if isinstance(text, bytes) else text.encode()
    opened = await open_import(io.BytesIO(raw), NEEDS, ImportOptions.model_validate(options))
    contacts: list[Contact] = []
    faults: list[RowFault] = []
    for block in opened.source.blocks():
        batch = opened.reader(NOW).read(block)
        contacts += batch.contacts
        faults += [*batch.rejected, *batch.warnings]
    return contacts, sorted(faults, key=lambda fault: fault.line)


def save(book: openpyxl.Workbook) -> bytes:
    raw = io.BytesIO()
    book.save(raw)
    return raw.getvalue()


def change_sheet(workbook: bytes, changes: Mapping[bytes, bytes]) -> bytes:
    """The workbook with these bytes of its first sheet replaced, each of which must be there."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(changed, "w") as new:
        for part in old.infolist():
            data = old.read(part)
            if part.filename == "xl/worksheets/sheet1.xml":
                for before, after in changes.items():
                    assert before in data
                    data = data.replace(before, after)
            new.writestr(part, data)
    return changed.getvalue()


def variables(contact: Contact) -> dict[str, str]:
    read: dict[str, str] = json.loads(contact.variables)
    return read


async def test_phone_and_name_are_found_and_all_else_becomes_variables() -> None:
    contacts, faults = await read("Full Name,Mobile Phone,Visit\nAda,(202) 555-0110,cleaning\n")
    assert faults == []
    assert [(c.line, c.phone, c.name, variables(c)) for c in contacts] == [
        (2, "+12025550110", "Ada", {"Visit": "cleaning"})
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
async def test_the_delimiter_is_found(delimiter: str) -> None:
    contacts, _ = await read(f"phone{delimiter}name\n+12025550110{delimiter}Ada\n")
    assert (contacts[0].phone, contacts[0].name) == ("+12025550110", "Ada")


async def test_excels_own_line_about_the_delimiter_is_obeyed_and_counted() -> None:
    contacts, _ = await read("sep=;\nphone;a,b\n+12025550110;x\n")
    assert [(c.line, variables(c)) for c in contacts] == [(3, {"a,b": "x"})]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
async def test_each_kind_of_line_ending_is_read(ending: str) -> None:
    contacts, _ = await read(ending.join(["phone,name", "+12025550110,Ada", "+12025550111,Bo"]))
    assert [(c.line, c.name) for c in contacts] == [(2, "Ada"), (3, "Bo")]


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "mac_roman"],
)
async def test_each_common_encoding_of_western_names_is_read(encoding: str) -> None:
    names = ["Zoë Müller", "François Lefèvre", "Ångström", "José Núñez", "Jürgen Groß", "Hélène Côté"]
    text = "phone,name\r\n" + "".join(f"+1202555011{n},{name}\r\n" for n, name in enumerate(names))
    contacts, faults = await read(text.encode(encoding))
    assert faults == []
    if encoding != "mac_roman":  # without a mark it is told from others by likelihood only
        assert [c.name for c in contacts] == names
    assert [c.line for c in contacts] == list(range(2, 8))


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("cp1251", "Екатерина Михайловна Васильева"),
        ("shift_jis", "山田太郎 と 鈴木花子"),
        ("gb18030", "王小明和李大华先生"),
    ],
)
async def test_other_scripts_are_told_by_how_they_read(encoding: str, name: str) -> None:
    text = "phone,name\n" + "".join(f"+120255501{n:02},{name}\n" for n in range(20))
    contacts, faults = await read(text.encode(encoding))
    assert faults == []
    assert {c.name for c in contacts} == {name}


async def test_a_bad_row_is_told_with_its_line_and_reason_and_the_good_rows_go_in() -> None:
    contacts, faults = await read(
        "phone,name\n+12025550110,Ada\n12,Bo\n,Cy\n+12025550113,Di,extra,more\n1.20256E+11,Ed\n"
    )
    assert [c.line for c in contacts] == [2]
    assert [(f.line, f.column, f.value) for f in faults] == [
        (3, "phone", "12"),
        (4, "phone", ""),
        (5, "", "extra"),
        (6, "phone", "1.20256E+11"),
    ]
    assert [f.reason.split(";")[0] for f in faults] == [
        "Not a phone number: too long, too short, or no such country code.",
        "no phone number",
        "more fields than the first line has",
        "a spreadsheet shortened this number",
    ]
    assert faults[2].cells == ["+12025550113", "Di", "extra", "more"]


async def test_lines_are_counted_across_blank_lines_and_quoted_line_breaks() -> None:
    contacts, faults = await read('"phone","two\nlines"\n\n+12025550110,"a\nb\nc"\n\nnot a number,x\n+12025550112,y\n')
    assert [c.line for c in contacts] == [4, 9]
    assert [f.line for f in faults] == [8]


async def test_rows_keep_their_lines_and_their_order_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 40)
    contacts, faults = await read(
        "phone,name\n" + "".join(f'+120255501{n:02},"N {n}\nx"\n' for n in range(10)) + "x,plain\n+12025550150,last"
    )
    assert [c.line for c in contacts] == [*range(2, 22, 2), 23]
    assert [f.line for f in faults] == [22]


async def test_every_block_can_be_read_again_from_where_the_one_before_it_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 100)
    rows = [f'+120255501{n:02},"Zo\u00eb\r\n{n}"' if n % 3 else f"+120255501{n:02},plain {n}" for n in range(60)]
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        raw = ("phone,name\r\n" + "\r\n".join(rows)).encode(encoding)
        blocks = list(CsvFile(io.BytesIO(raw), "utf-8" if encoding == "utf-8-sig" else encoding).blocks())
        assert len(blocks) > 10
        for before, expected in pairwise(blocks):
            again = CsvFile(io.BytesIO(raw), "utf-8" if encoding == "utf-8-sig" else encoding).blocks(before.after)
            assert next(again) == expected


async def test_a_row_shorter_than_the_header_has_empty_variables() -> None:
    contacts, _ = await read("phone,name,visit\n+12025550110\n")
    assert variables(contacts[0]) == {"visit": ""}


async def test_a_stray_quote_inside_a_cell_is_part_of_it() -> None:
    contacts, faults = await read('phone,size\n+12025550110,5" pipe\n+12025550111,plain\n+12025550112,"6"" pipe"\n')
    assert faults == []
    assert [variables(c)["size"] for c in contacts] == ['5" pipe', "plain", '6" pipe']


async def test_columns_without_a_name_or_with_the_same_one_get_their_own() -> None:
    contacts, _ = await read("phone,,note,note\n+12025550110,a,b,c\n")
    assert variables(contacts[0]) == {"column_2": "a", "note": "b", "note_4": "c"}


async def test_a_nul_character_and_a_byte_of_no_character_are_faults_of_their_rows() -> None:
    text = "phone,name\n+12025550110,A\x00da\n+12025550111,Bo\n+12025550112,Zo\u00eb\n".encode()
    contacts, faults = await read(text + b"+12025550113,D\xff\n")
    assert [c.line for c in contacts] == [3, 4]
    assert [(f.line, f.column, f.reason) for f in faults] == [
        (2, "name", "a NUL character"),
        (5, "name", "bytes that are no character of this encoding"),
    ]


async def test_a_file_without_a_phone_column_is_refused_and_its_columns_are_named() -> None:
    with pytest.raises(NoPhoneColumn, match="email, city") as refused:
        await read("email,city\na@example.com,Rome\n")
    assert refused.value.extra == {"columns": ["email", "city"]}


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("+12025550102,Ann\n+12025550103,Bob\n", {}),
        ("Ann;(202) 555-0102\nBob;(202) 555-0103\n", {}),
        ("2025550\n2025550103\n2025550104\n", {}),
        ("+12025550102,Ann\n+12025550103,Bob\n", {"columns": {"phone": "+12025550102"}}),
    ],
    ids=["E.164", "national", "a wrong number", "mapped"],
)
async def test_a_first_line_that_is_a_contact_is_not_lost_as_names_of_columns(
    text: str, options: dict[str, object]
) -> None:
    with pytest.raises(NoHeader, match="must name the columns"):
        await read(text, **options)


@pytest.mark.parametrize("empty", ["", "\n\n", "  \n"])
async def test_an_empty_file_is_refused(empty: str) -> None:
    with pytest.raises(EmptyFile):
        await read(empty)


async def test_a_quote_that_never_closes_is_refused_with_its_line() -> None:
    with pytest.raises(BrokenFile, match="near line 2 is never closed"):
        await read('phone,name\n+12025550110,"Ada\n+12025550111,Bo\n')


async def test_a_header_of_many_thousand_columns_is_refused() -> None:
    with pytest.raises(BrokenFile, match="at most 500"):
        await read(",".join(f"c{n}" for n in range(10_000)) + "\n")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\x1f\x8b\x08\x00rest", "gzip"),
        (b"\xd0\xcf\x11\xe0rest", "XLSX or CSV"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04nothing", "cannot be read"),
    ],
)
async def test_what_is_no_list_is_refused_by_its_name(raw: bytes, why: str) -> None:
    with pytest.raises((UnknownFormat, BrokenFile), match=why):
        await read(raw)


async def test_a_workbook_is_read_as_its_first_filled_sheet_with_numbers_dates_and_cached_values_as_text() -> None:
    book = openpyxl.Workbook()
    sheet = book.create_sheet("List")
    sheet.append(["Phone", "Name", "When", "Amount"])
    sheet.append([12025550110, "Ada", datetime(2026, 3, 1, 14, 30, tzinfo=UTC).replace(tzinfo=None), 12.5])
    sheet.append([None, None, None, None])
    sheet.append(["(202) 555-0111", None, datetime(2026, 3, 2, tzinfo=UTC).replace(tzinfo=None), True])
    sheet.append(["(202) 555-0112", None, time(9, 5), None])
    contacts, faults = await read(save(book))
    assert faults == []
    assert [(c.line, c.phone, c.name, variables(c)) for c in contacts] == [
        (2, "+12025550110", "Ada", {"When": "2026-03-01 14:30", "Amount": "12.5"}),
        (4, "+12025550111", None, {"When": "2026-03-02", "Amount": "true"}),
        (5, "+12025550112", None, {"When": "09:05", "Amount": ""}),
    ]


async def test_a_formula_that_was_never_computed_is_a_fault_of_its_row_and_no_empty_cell() -> None:
    book = openpyxl.Workbook()
    sheet = book["Sheet"]
    for row in (["Phone", "Name"], ["=A4", '="Ann"'], ["2025550102", '="Bob"'], ["2025550103", "Cid"]):
        sheet.append(row)
    contacts, faults = await read(save(book))
    assert [(c.line, c.name) for c in contacts] == [(4, "Cid")]
    assert [(f.line, f.column, f.value) for f in faults] == [(2, "Phone", "=A4"), (3, "Name", '="Bob"')]
    assert all("never computed" in fault.reason for fault in faults)


async def test_a_formula_that_came_to_an_empty_text_or_to_a_number_is_its_value() -> None:
    book = openpyxl.Workbook()
    sheet = book["Sheet"]
    for row in (["Phone", "Name", "Seats"], ["2025550102", "=B9", "=1+1"]):
        sheet.append(row)
    as_computed = {
        b'<c r="B2"><f>B9</f><v></v></c>': b'<c r="B2" t="str"><f>B9</f><v></v></c>',
        b'<c r="C2"><f>1+1</f><v></v></c>': b'<c r="C2"><f>1+1</f><v>2</v></c>',
    }
    contacts, faults = await read(change_sheet(save(book), as_computed))
    assert faults == []
    assert [(c.name, variables(c)) for c in contacts] == [(None, {"Seats": "2"})]


async def test_a_json_array_and_json_lines_are_read_with_their_keys_as_columns() -> None:
    people = [{"phone": 12025550110, "name": "Zo\u00eb"}, {"phone": "+1 202 555 0111", "tags": ["a", 1]}, ["x"]]
    for raw in (json.dumps(people).encode(), "\n".join(map(json.dumps, people)).encode("utf-16")):
        contacts, faults = await read(raw)
        assert [(c.line, c.phone, c.name) for c in contacts] == [
            (1, "+12025550110", "Zo\u00eb"),
            (2, "+12025550111", None),
        ]
        assert json.loads(variables(contacts[1])["tags"]) in (["a", 1], ["a", "1"])
        assert [(f.line, f.reason) for f in faults] == [(3, "no object with keys")]


async def test_json_that_breaks_off_is_refused_with_the_object_after_which_it_does() -> None:
    with pytest.raises(BrokenFile, match="after object 1"):
        await read('[{"phone": "+12025550110"}, {"phone": ')


async def test_a_line_that_is_no_json_is_a_fault_of_its_row() -> None:
    contacts, faults = await read('{"phone": "+12025550110"}\nnonsense\n{"phone": "+12025550111"}\n')
    assert [c.line for c in contacts] == [1, 3]
    assert [f.line for f in faults] == [2]
