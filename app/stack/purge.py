"""`trunkline down --purge`: remove what the stack of a home folder has made, and nothing else."""

import shutil
from pathlib import Path

from app.errors import TrunklineError
from app.stack.database.postgres import folder_outside
from app.stack.livekit.build import Program, stamp_file
from app.stack.processes.state import StackLock, state_file

FOLDERS = ("go", "livekit", "logs", "postgres", "recordings", "redis", "simulator", "pids")
FILES = ("demo.json", "demo-results.csv", "postgres.password", "stack.env", ".stack.env.new")


class CannotRemove(TrunklineError):
    """Something of ours cannot be removed; `detail` says what and why."""

    code = "cannot_remove"


def find_remains(home: Path) -> list[Path]:
    """Everything of ours: in the home folder, and the data of its Postgres where that lies outside of it."""
    outside = folder_outside(home)
    # The home may be any folder of a person's: without a state in it, no stack was ever there.
    inside = _made_in(home) if state_file(home).exists() else []
    return [path for path in (*inside, outside) if path.exists() or path.is_symlink()]


def _made_in(home: Path) -> list[Path]:
    built = [path for program in Program for path in (home / "bin" / program, stamp_file(home, program))]
    return [*built, *(home / name for name in (*FILES, *FOLDERS))]


def purge(home: Path) -> None:
    """Remove it all, and the home folder unless something else is in it. Nothing may run there.

    Raises AlreadyRunning, CannotRemove.
    """
    lock = StackLock(home)
    if state_file(home).exists():
        # Until the end of this, no `up` begins in the folder.
        lock.take()
    try:
        for path in find_remains(home):
            _remove(path)
        for folder in (home / "bin", home):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise CannotRemove(f"{error.filename} cannot be removed: {error.strerror}.") from error
    finally:
        lock.release()


def _remove(path: Path) -> None:
    """A folder with all that is in it; of a link, the link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
