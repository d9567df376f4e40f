"""What a contacts CSV is read as, and how a bad one is refused."""

import io

import pytest

from campaigns.imports import contacts_file
from campaigns.imports.columns import NoPhoneColumn
from campaigns.imports.contacts_file import BrokenCsv, ContactRow, ContactsFile, EmptyFile, NotUtf8, RowFault


def read(text: str | bytes) -> tuple[list[ContactRow], list[RowFault]]:
    raw = text if isinstance(text, bytes) else text.encode()
    contacts: list[ContactRow] = []
    faults: list[RowFault] = []
    for chunk in ContactsFile(io.BytesIO(raw), region="US").chunks():
        contacts += chunk.contacts
        faults += chunk.faults
    return contacts, faults


def test_phone_and_name_are_found_and_all_else_becomes_variables() -> None:
    contacts, faults = read("Full Name,Mobile Phone,Visit\nAda,(202) 555-0110,cleaning\n")
    assert faults == []
    assert contacts == [ContactRow(2, "+12025550110", "(202) 555-0110", "Ada", {"Visit": "cleaning"})]  # type: ignore[arg-type]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    contacts, _ = read(f"phone{delimiter}name\n+12025550110{delimiter}Ada\n")
    assert (contacts[0].phone, contacts[0].name) == ("+12025550110", "Ada")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_each_kind_of_line_ending_is_read(ending: str) -> None:
    contacts, _ = read(ending.join(["phone,name", "+12025550110,Ada", "+12025550111,Bo"]))
    assert [(c.line, c.name) for c in contacts] == [(2, "Ada"), (3, "Bo")]


def test_a_byte_order_mark_is_not_part_of_the_first_column() -> None:
    assert read(b"\xef\xbb\xbfphone\n+12025550110\n")[0][0].phone == "+12025550110"


def test_a_bad_row_is_told_with_its_line_and_reason_and_the_good_rows_go_in() -> None:
    contacts, faults = read("phone,name\n+12025550110,Ada\n12,Bo\n,Cy\n+12025550113,Di,extra,more\n1.20256E+11,Ed\n")
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


def test_lines_are_counted_across_blank_lines_and_quoted_line_breaks() -> None:
    contacts, faults = read('"phone","two\nlines"\n\n+12025550110,"a\nb\nc"\n\nnot a number,x\n+12025550112,y\n')
    assert [c.line for c in contacts] == [4, 9]
    assert [f.line for f in faults] == [8]


def test_rows_keep_their_lines_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts_file, "CHUNK_ROWS", 3)
    contacts, faults = read("phone\n" + "".join(f"+120255501{n:02}\n" for n in range(10)) + "x\n")
    assert [c.line for c in contacts] == list(range(2, 12))
    assert [f.line for f in faults] == [12]


def test_a_row_shorter_than_the_header_has_empty_variables() -> None:
    assert read("phone,name,visit\n+12025550110\n")[0][0].variables == {"visit": ""}


def test_columns_without_a_name_or_with_the_same_one_get_their_own() -> None:
    assert read("phone,,note,note\n+12025550110,a,b,c\n")[0][0].variables == {
        "column_2": "a",
        "note": "b",
        "note_4": "c",
    }


def test_a_nul_character_is_a_fault_of_its_row() -> None:
    contacts, faults = read("phone,name\n+12025550110,A\x00da\n+12025550111,Bo\n")
    assert [c.line for c in contacts] == [3]
    assert [(f.line, f.column, f.reason) for f in faults] == [(2, "name", "a NUL character")]


def test_a_file_without_a_phone_column_is_refused_and_its_columns_are_named() -> None:
    with pytest.raises(NoPhoneColumn, match="email, city") as refused:
        read("email,city\na@example.com,Rome\n")
    assert refused.value.extra == {"columns": ["email", "city"]}


@pytest.mark.parametrize("empty", ["", "\n\n", "  \n"])
def test_an_empty_file_is_refused(empty: str) -> None:
    with pytest.raises(EmptyFile):
        read(empty)


def test_a_file_that_is_not_utf8_is_refused_with_the_byte_that_shows_it() -> None:
    start = b"phone,name\n+12025550110,Zo"
    with pytest.raises(NotUtf8, match=f"byte {len(start)} ") as refused:
        read(start + "ë\n".encode("latin-1"))
    assert refused.value.extra == {"byte_offset": len(start)}


def test_the_offset_is_right_far_into_a_large_file() -> None:
    start = b"phone\n" + b"+12025550110\n" * 200_000
    with pytest.raises(NotUtf8) as refused:
        read(start + b"\xc3")
    assert refused.value.extra == {"byte_offset": len(start)}


def test_utf16_is_refused_as_not_utf8() -> None:
    with pytest.raises(NotUtf8):
        read("phone\n+12025550110\n".encode("utf-16"))


def test_a_quote_that_never_closes_is_refused() -> None:
    with pytest.raises(BrokenCsv, match="never closed"):
        read('phone,name\n+12025550110,"Ada\n+12025550111,Bo\n')


def test_a_header_of_many_thousand_columns_is_refused() -> None:
    with pytest.raises(BrokenCsv, match="at most 500 columns"):
        read(",".join(f"c{n}" for n in range(10_000)) + "\n")


def test_a_refused_file_is_still_open_for_its_owner() -> None:
    file = io.BytesIO(b"email\n")
    with pytest.raises(NoPhoneColumn):
        ContactsFile(file, region="US")
    file.seek(0)
    assert file.read() == b"email\n"
