"""Files made to hurt: refused at once or read right, and the proof of it notices a reader that does neither."""

from pathlib import Path

import pytest

from tests.prove.imports.files import Hostile, hostile_files
from tests.prove.imports.imports import HostileFilesProof
from tests.prove.imports.reading import read_hostile
from tests.prove.proof import Sizes

FILES = hostile_files(1 << 28, 100_000)


@pytest.mark.parametrize("hostile", FILES, ids=[hostile.name for hostile in FILES])
async def test_a_file_made_to_hurt_is_refused_at_once_or_read_right(hostile: Hostile, tmp_path: Path) -> None:
    outcome = await read_hostile(hostile, tmp_path)
    assert outcome.right, outcome.said
    # At full size the proof asks for 2 s; here other tests may have the machine.
    assert outcome.seconds < 10


async def test_the_proof_notices_quotes_that_are_not_watched() -> None:
    figures = await HostileFilesProof().control(Sizes())
    assert not figures.held
    assert "a quote that never closes" in figures.rows["read wrong"]
