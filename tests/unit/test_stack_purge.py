"""What `trunkline down --purge` removes, and what it leaves alone."""

from pathlib import Path

import pytest

from app.stack.database import postgres
from app.stack.processes.state import AlreadyRunning, StackLock, make_home, state_file
from app.stack.purge import find_remains, purge


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with data in it, and the data of its Postgres and of another's outside."""
    monkeypatch.setattr(postgres, "SHARED", tmp_path / "shared")
    home = make_home(tmp_path / "home")
    state_file(home).write_text("{}")
    (home / "stack.env").write_text("")
    (home / "bin").mkdir()
    for name in ("server", ".server.stamp", "livekit-sip", ".livekit-sip.stamp"):
        (home / "bin" / name).write_text("")
    (home / "recordings").mkdir()
    (home / "recordings" / "call.wav").write_bytes(b"")
    for folder in (postgres.folder_outside(home), postgres.folder_outside(tmp_path / "another")):
        (folder / "postgres").mkdir(parents=True)
    return home


def test_all_that_we_made_goes_and_the_folder_with_it(home: Path, tmp_path: Path) -> None:
    purge(home)
    assert not home.exists()
    assert list((tmp_path / "shared").iterdir()) == [postgres.folder_outside(tmp_path / "another")]
    assert find_remains(home) == []


def test_what_is_not_ours_stays(home: Path) -> None:
    (home / "letter.txt").write_text("mine")
    (home / "bin" / "tool").write_text("mine")
    purge(home)
    left = {str(path.relative_to(home)) for path in home.rglob("*")}
    assert left == {"letter.txt", "bin", "bin/tool"}


def test_a_folder_in_which_no_stack_ever_ran_stays_as_it_is(home: Path) -> None:
    state_file(home).unlink()
    before = sorted(home.rglob("*"))
    purge(home)
    assert sorted(home.rglob("*")) == before


def test_behind_a_link_everything_stays(home: Path, tmp_path: Path) -> None:
    elsewhere = (home / "recordings").rename(tmp_path / "elsewhere")
    (home / "recordings").symlink_to(elsewhere)
    purge(home)
    assert not home.exists()
    assert (elsewhere / "call.wav").exists()


def test_data_outside_goes_where_the_home_was_removed_before(home: Path, tmp_path: Path) -> None:
    home.rename(tmp_path / "gone")
    assert find_remains(home) == [postgres.folder_outside(home)]
    purge(home)
    assert find_remains(home) == []


def test_nothing_goes_while_a_stack_runs(home: Path) -> None:
    lock = StackLock(home)
    lock.take()
    with pytest.raises(AlreadyRunning):
        purge(home)
    assert (home / "stack.env").exists()
    lock.release()
