"""The journal: every record is in the file at once, in order, across restarts."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from telephony.simulator.journal import Journal, JournalBusy, JournalDamaged, Record

NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "simulator" / "journal.jsonl"


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[Journal]:
    journal = Journal(path, lambda: NOW)
    yield journal
    await journal.close()


def contents(path: Path) -> tuple[list[Record], int]:
    """The records of the file as it stands on the disk, and its permissions."""
    return [json.loads(line) for line in path.read_text().splitlines()], path.stat().st_mode & 0o777


def write(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)


async def test_a_record_is_in_the_file_when_note_returns(journal: Journal, path: Path) -> None:
    assert journal.note("call.created", call_sid="CA1", to="+12025550102") == 1
    ((record,), mode) = contents(path)
    assert record["at"] == "2026-11-20T18:00:00Z"
    assert (record["seq"], record["kind"], record["call_sid"], record["to"]) == (
        1,
        "call.created",
        "CA1",
        "+12025550102",
    )
    assert mode == 0o600


async def test_many_that_wait_for_the_disk_share_its_syncs(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(journal.seq), real(file)))

    async def note_and_wait(number: int) -> None:
        seq = journal.note("x", number=number)
        await journal.synced()
        assert synced[-1] >= seq or max(synced) >= seq

    await asyncio.gather(*(note_and_wait(number) for number in range(50)))
    assert 1 <= len(synced) <= 3


async def test_reading_starts_after_a_seq_and_ends_at_the_limit(journal: Journal) -> None:
    for number in range(10):
        journal.note("x", number=number)
    assert [record["seq"] for record in journal.read(after=3, limit=4)] == [4, 5, 6, 7]
    assert [record["seq"] for record in journal.read(after=8)] == [9, 10]
    assert journal.read(after=10) == []


async def test_the_count_goes_on_after_a_restart_and_a_torn_last_line_is_cut(path: Path) -> None:
    first = Journal(path, lambda: NOW)
    first.note("x")
    first.note("y")
    await first.close()
    with path.open("ab") as file:
        file.write(b'{"seq":3,"ki')
    second = Journal(path, lambda: NOW)
    assert second.note("z") == 3
    assert [record["kind"] for record in second.replay()] == ["x", "y", "z"]
    assert [record["kind"] for record in second.read()] == ["x", "y", "z"]
    await second.close()


async def test_a_second_writer_is_refused(journal: Journal, path: Path) -> None:
    with pytest.raises(JournalBusy):
        Journal(path, lambda: NOW)


async def test_a_damaged_line_in_the_middle_is_named(path: Path) -> None:
    write(path, '{"seq":1,"kind":"x"}\ngarbage\n{"seq":3,"kind":"y"}\n')
    journal = Journal(path, lambda: NOW)
    with pytest.raises(JournalDamaged, match="line 2"):
        list(journal.replay())
    await journal.close()
