"""The system packages that building LiveKit SIP takes, and how to get them. It links C libraries for audio."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Requirement:
    """A program (`library` False) or a pkg-config library, and the package that brings it per package manager."""

    name: str
    packages: dict[str, str]
    library: bool = False


REQUIREMENTS = (
    Requirement("gcc", {"apt-get": "gcc", "dnf": "gcc", "brew": "gcc"}),
    Requirement("pkg-config", {"apt-get": "pkg-config", "dnf": "pkgconf-pkg-config", "brew": "pkg-config"}),
    Requirement("opus", {"apt-get": "libopus-dev", "dnf": "opus-devel", "brew": "opus"}, library=True),
    Requirement("opusfile", {"apt-get": "libopusfile-dev", "dnf": "opusfile-devel", "brew": "opusfile"}, library=True),
    Requirement("soxr", {"apt-get": "libsoxr-dev", "dnf": "soxr-devel", "brew": "libsoxr"}, library=True),
)
SIPP = Requirement("sipp", {"apt-get": "sip-tester", "dnf": "sipp", "brew": "sipp"})
"""The SIP phone of the demo and the live tests."""


def is_present(requirement: Requirement) -> bool:
    if not requirement.library:
        return shutil.which(requirement.name) is not None
    if shutil.which("pkg-config") is None:
        return False
    return subprocess.run(["pkg-config", "--exists", requirement.name], timeout=10).returncode == 0


def find_missing(requirements: Sequence[Requirement] = REQUIREMENTS) -> list[Requirement]:
    return [requirement for requirement in requirements if not is_present(requirement)]


def install_argv(missing: Sequence[Requirement], manager: str | None, *, root: bool) -> list[str]:
    """The command that brings these packages; where we know no package manager, Debian's is shown. Pure."""
    known = manager if manager in ("apt-get", "dnf", "brew") else "apt-get"
    names = [requirement.packages[known] for requirement in missing]
    prefix = [] if root or known == "brew" else ["sudo"]
    return [*prefix, known, "install", *([] if known == "brew" else ["-y"]), *names]


def describe_install(missing: Sequence[Requirement]) -> str:
    """The line to type."""
    return " ".join(install_argv(missing, find_manager(), root=os.geteuid() == 0))


def find_manager() -> str | None:
    return next((name for name in ("apt-get", "dnf", "brew") if shutil.which(name)), None)


def can_install() -> bool:
    """Whether we may install without asking a person: apt-get, and root or sudo without a password."""
    if find_manager() != "apt-get":
        return False
    if os.geteuid() == 0:
        return True
    sudo = shutil.which("sudo")
    return sudo is not None and subprocess.run([sudo, "-n", "true"], capture_output=True, timeout=10).returncode == 0


def install(missing: Sequence[Requirement]) -> bool:
    """Bring them by apt-get, its output on our own; True when it says that it worked."""
    root = os.geteuid() == 0
    sudo = [] if root else ["sudo", "-n"]
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive"]
    wanted = install_argv(missing, "apt-get", root=True)
    try:
        # An index that cannot be refreshed may still be good enough.
        subprocess.run([*sudo, *quiet, "apt-get", "update", "-q"], timeout=300)
        return subprocess.run([*sudo, *quiet, *wanted], timeout=900).returncode == 0
    except subprocess.TimeoutExpired:
        return False
