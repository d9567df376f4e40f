"""Rows read thousands at once are exactly what they are one by one, and so are the numbers in them."""

import asyncio
import io
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.imports.columns import Columns
from campaigns.imports.contacts import RowReader
from campaigns.imports.files import csv_rows
from campaigns.imports.files.rows import Block, Position
from campaigns.imports.opening import Needs, open_import
from campaigns.imports.plain_numbers import Allowed, NumberReader
from campaigns.imports.vectors.cells import Cells, join_cells
from campaigns.imports.vectors.copying import COLUMNS, encode_contacts, make_ids
from campaigns.imports.vectors.north_america import NorthAmerica, alternatives, last_four_are_free
from campaigns.imports.vectors.plain_rows import PlainReader, PlainRows
from campaigns.imports.vectors.seen import SeenNumbers
from telephony.lines.numbers import InvalidNumber, parse_number
from telephony.toll_gate.destinations import DialingRules

NOW = datetime(2026, 11, 20, tzinfo=UTC)
REGIONS = ["US", "CA", "JM", "PR", "AG", "GB", "DE"]
RULES = [
    DialingRules("US"),
    DialingRules("US", ["CA"], ["+12025550101"], ("+1202555012", "+1303")),
    DialingRules("US", priced_prefixes=("+12025550", "+1303")),
    DialingRules("GB"),
]
MARKS = ["", "", "", "", " ", "-", ".", "(", ")", "  ", "/", "\u00a0", "+", "x", "\u0661"]
AREAS = ["202", "303", "416", "876", "983", "900", "800", "500", "523", "521", "310", "111", "976", "268"]


def cells_of(texts: Sequence[str]) -> Cells:
    cells = join_cells(texts)
    assert cells is not None
    return cells


@st.composite
def written_numbers(draw: st.DrawFn) -> str:
    """Near North American numbers, as people and hostile people write them."""
    area = draw(st.one_of(st.sampled_from(AREAS), st.integers(0, 999).map("{:03}".format)))
    exchange = draw(st.one_of(st.sampled_from(["555", "976", "911", "200", "100"]), st.integers(0, 999).map(str)))
    last = draw(st.one_of(st.sampled_from(["0101", "0123", "1212", "0000"]), st.integers(0, 9999).map("{:04}".format)))
    before = draw(st.sampled_from(["", "", "1", "1", "+1", "+1", "011", "+", "01", "2", "+44", "+ 1"]))
    digits = f"{before}{area}{exchange}{last}"
    if draw(st.booleans()):
        digits = "".join(draw(st.sampled_from(MARKS)) + digit for digit in digits)
    return digits.strip()


def one_by_one(written: str, region: str, rules: DialingRules) -> int:
    try:
        number = parse_number(written, region)
    except InvalidNumber:
        return 0
    return 0 if rules.why_not(number) else int(number[1:])


@given(st.lists(written_numbers(), min_size=1, max_size=30), st.sampled_from(REGIONS), st.sampled_from(RULES))
@settings(max_examples=150, deadline=None)
def test_a_number_that_is_read_at_once_is_the_one_that_the_library_reads(
    texts: list[str], region: str, rules: DialingRules
) -> None:
    found = NorthAmerica(NumberReader(region), Allowed(rules)).read(cells_of(texts))
    for text, number in zip(texts, found.tolist(), strict=True):
        if number:
            assert number == one_by_one(text, region, rules), text


@pytest.mark.parametrize("rules", RULES, ids=["plain", "narrowed", "priced", "abroad"])
def test_exchanges_of_every_area_are_judged_as_by_the_library(rules: DialingRules) -> None:
    rng = random.Random(20261121)
    reader = NorthAmerica(NumberReader("US"), Allowed(rules))
    texts = [f"{area:03}{rng.choice([200, 555, 976, rng.randrange(1000)]):03}{rng.randrange(10_000):04}"
             for area in range(200, 1000) for _ in range(3)]  # fmt: skip
    found = reader.read(cells_of(texts))
    for text, number in zip(texts, found.tolist(), strict=True):
        assert number in (0, one_by_one(text, "US", rules)), text


def test_ordinary_lists_are_read_at_once_and_not_one_by_one() -> None:
    forms = ["+1{0}{1}{2}", "({0}) {1}-{2}", "{0}-{1}-{2}", "1 {0} {1} {2}", "{0}.{1}.{2}", "+1 ({0}) {1}-{2}"]
    texts = [form.format("202", "555", f"{n:04}") for form in forms for n in range(100, 200)]
    assert NorthAmerica(NumberReader("US"), Allowed(DialingRules("US"))).read(cells_of(texts)).all()


def test_what_refuses_single_numbers_refuses_them_at_once_too() -> None:
    reader = NorthAmerica(NumberReader("US"), Allowed(RULES[1]))
    refused = ["2025550101", "2025550120", "2025551212", "2029760123", "3035550123", "9005550123", "12025550125"]
    assert not reader.read(cells_of(refused)).any()


def test_the_plan_leaves_the_last_four_digits_free_and_a_pattern_that_does_not_is_noticed() -> None:
    assert last_four_are_free()
    assert alternatives(r"98[|3](?:1|2)\d{6}|[2-9]\d{9}|a\|b") == [r"98[|3](?:1|2)\d{6}", r"[2-9]\d{9}", r"a\|b"]


def test_a_number_that_was_met_is_never_taken_for_a_new_one() -> None:
    seen, rng = SeenNumbers(), random.Random(1)
    first, later = (np.array(rng.sample(range(12022000000, 12029999999), 50_000)) for _ in range(2))
    assert seen.meet(first).mean() == 0
    seen.remember(["+442079460018"])
    assert seen.meet(first).all()
    assert seen.meet(np.array([442079460018])).all()
    new = ~np.isin(later, first)
    assert seen.meet(later)[new].mean() < 0.01


async def blocks_of(text: str) -> tuple[RowReader, list[Block]]:
    needs = Needs(DialingRules("US"), None, {})
    opened = await open_import(io.BytesIO(text.encode()), needs)
    return opened.reader(NOW), list(opened.source.blocks())


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n\ufffd"), max_size=12)


@given(st.lists(st.tuples(written_numbers(), CELL, CELL), min_size=1, max_size=25))
@settings(max_examples=150, deadline=None)
def test_rows_read_at_once_are_the_rows_read_one_by_one(rows: list[tuple[str, str, str]]) -> None:
    columns = Columns(("phone", "name", "note"), (0,), {"name": 1}, {"note": 2})
    reader = RowReader(columns, NumberReader("US"), Allowed(DialingRules("US")), NOW)
    block = Block(range(2, len(rows) + 2), list(zip(*rows, strict=True)), [], Position())
    plain, batch = PlainReader(reader).read(block), reader.read(block)
    assert plain is not None
    assert plain.contacts() == batch.contacts
    assert plain.rejected == batch.rejected


def test_a_file_in_many_blocks_is_the_same_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 200)
    text = "phone,name,slot\n" + "".join(
        f'{"n/a" if n % 9 == 0 else f"202-555-0{n}"},{"Zoë" if n % 2 else ""},"{n}"\n' for n in range(100, 160)
    )
    reader, blocks = asyncio.run(blocks_of(text + " , ,\n\n2025550199\n"))
    for block in blocks:
        plain, batch = PlainReader(reader).read(block), reader.read(block)
        assert plain is not None
        assert (plain.contacts(), plain.rejected) == (batch.contacts, batch.rejected)


@pytest.mark.parametrize("text", ["phone,time_zone\n2025550110,UTC\n", "phone,phone2\n2025550110,2025550111\n"])
def test_rows_with_facts_or_second_numbers_are_left_to_the_long_way(text: str) -> None:
    reader, (block,) = asyncio.run(blocks_of(text))
    assert PlainReader(reader).read(block) is None


def fields_of(data: bytes) -> list[list[bytes | None]]:
    """COPY's binary format, read as its documentation describes it."""
    at, rows = 19, []
    while (count := int.from_bytes(data[at : at + 2], "big", signed=True)) != -1:
        at, row = at + 2, []
        for _ in range(count):
            size = int.from_bytes(data[at : at + 4], "big", signed=True)
            row.append(data[at + 4 : at + 4 + size] if size >= 0 else None)
            at += 4 + max(size, 0)
        rows.append(row)
    assert at + 2 == len(data)
    return rows


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_rows_with_what_is_no_text_are_left_to_the_long_way(name: str) -> None:
    columns = Columns(("phone", "name"), (0,), {"name": 1}, {})
    block = Block([2], [["2025550110"], [name]], [], Position())
    assert PlainReader(RowReader(columns, NumberReader("US"), Allowed(DialingRules("US")), NOW)).read(block) is None


def test_contacts_are_encoded_as_postgres_takes_them() -> None:
    org, campaign, import_id = (UUID(int=n) for n in (1, 2, 3))
    names, variables = ["Zoë", "", "Bo"], ['{"a": "ü"}', "{}", '{"a": ""}']
    block = Block([2, 4, 9], [], [], Position())
    phones = np.array([12025550111, 4402, 12025550110])
    rows = PlainRows(block, np.array([2, 0, 1]), phones, cells_of(names), cells_of(variables), [])
    found = fields_of(encode_contacts(org, campaign, import_id, rows))
    assert [len(row) for row in found] == [len(COLUMNS)] * 3
    assert {tuple(row[:3]) for row in found} == {(org.bytes, campaign.bytes, import_id.bytes)}
    lines = [int.from_bytes(row[4] or b"", "big") for row in found]
    assert lines == [9, 2, 4]
    assert [row[5] for row in found] == [b"+12025550111", b"+4402", b"+12025550110"]
    assert [row[6] for row in found] == ["Zoë".encode(), None, b"Bo"]
    assert [row[7] for row in found] == [b"\1" + text.encode() for text in variables]
    in_file_order = sorted(found, key=lambda row: row[4] or b"")
    assert [row[3] for row in in_file_order] == sorted(row[3] or b"" for row in found)


def test_ids_are_of_version_seven_and_ascend() -> None:
    ids = [UUID(bytes=one.tobytes()) for one in make_ids(20_000)]
    assert {(one.version, one.variant) for one in ids} == {(7, "specified in RFC 4122")}
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_variables_are_json_whatever_is_in_them() -> None:
    block = Block([2], [["2025550110"], ['"\\\x01\u2028é']], [], Position())
    columns = Columns(("phone", "note"), (0,), {}, {"note": 1})
    plain = PlainReader(RowReader(columns, NumberReader("US"), Allowed(DialingRules("US")), NOW)).read(block)
    assert plain is not None
    assert json.loads(plain.contact(0).variables) == {"note": '"\\\x01\u2028é'}
