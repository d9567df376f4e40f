"""`trunkline up`, `down`, `status`, `logs`, `doctor`, `migrate`, `demo-info`: the stack of this folder."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from app.settings import Settings

if TYPE_CHECKING:
    from app.stack.processes.state import StackState

stack = typer.Typer()

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

NOT_RUNNING = 3


@stack.command()
def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when everything is ready.")] = False,
) -> None:
    """Start everything on this machine and watch it."""
    from app.stack.detach import start_detached, wait_for_other
    from app.stack.processes.state import AlreadyRunning, Phase, is_running
    from app.stack.stack_env import load_given
    from app.stack.status import Progress

    home, progress = load_given().home, Progress()

    def tell(state: "StackState") -> None:
        for line in progress.news(state):
            out.print(line, soft_wrap=True)

    def tell_all(state: "StackState") -> None:
        tell(state)
        if state.phase is Phase.READY and not progress.finished:
            progress.finished = True
            show_addresses(home)
            out.print("Ctrl-C ends it.")

    if is_running(home):
        out.print("Trunkline runs already in this folder.")
        if wait_for_other(home, tell) is None:
            raise AlreadyRunning("The other `trunkline up` ended before it was ready; try again.")
        show_addresses(home)
    elif detach:
        start_detached(home, tell)
        show_addresses(home)
    else:
        from app.logs import configure_logs
        from app.stack.up import run_stack

        configure_logs(level="WARNING")
        asyncio.run(run_stack(tell_all))
        out.print("Stopped.")


def show_addresses(home: Path) -> None:
    from app.stack.processes.state import PartState, read_state

    demo = json.loads((home / "demo.json").read_text())
    state = read_state(home)
    off = {name for name, part in state.parts.items() if part.state is PartState.OFF} if state else set[str]()
    sip = f"sip:{demo['sip_number']}@{demo['sip_host']}:{demo['sip_port']}"
    out.print()
    for title, where in (
        ("API", f"{demo['api_url']}/docs"),
        ("Call by SIP", "off" if "sip" in off else sip),
        ("Simulated carrier", "off" if "simulator" in off else f"{demo['simulator_url']}/simulator/docs"),
        ("For scripts", str(home / "demo.json")),
    ):
        out.print(f"  {title:<18} {where}", markup=False, soft_wrap=True)


@stack.command()
def down(
    purge: Annotated[bool, typer.Option("--purge", help="Then remove all that it has made, data included.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without asking.")] = False,
) -> None:
    """End everything that `up` started in this folder."""
    from app.stack.down import stop_stack
    from app.stack.stack_env import load_given

    home = load_given().home
    if purge and not yes:
        confirm_purge(home)
    out.print(stop_stack(home))
    if purge:
        from app.stack.purge import purge as purge_home

        purge_home(home)
        out.print("Removed what it had made.")


def confirm_purge(home: Path) -> None:
    from app.stack.purge import find_remains

    for path in find_remains(home):
        out.print(f"  {path}", markup=False, soft_wrap=True)
    typer.confirm("Remove all of this, with every call and recording in it?", abort=True)


@stack.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """What runs, since when, where. Exit status 3 where nothing does."""
    from app.stack.stack_env import load_given
    from app.stack.status import describe_stack, status_notes, status_table

    described = describe_stack(load_given().home)
    if as_json:
        typer.echo(json.dumps(described, indent=1))
    else:
        out.print(f"Trunkline: {described['phase']}")
        out.print(status_table(described))
        for line in status_notes(described):
            out.print(line, markup=False, soft_wrap=True)
    if not described["running"]:
        raise typer.Exit(NOT_RUNNING)


@stack.command()
def logs(
    name: Annotated[str, typer.Argument(help="A part (see `trunkline status`), or: up, build.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it is written.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0)] = 50,
) -> None:
    """The log of one part."""
    from app.stack.processes.log_files import follow as follow_file
    from app.stack.processes.log_files import log_file, tail
    from app.stack.processes.names import NAMES
    from app.stack.stack_env import load_given

    if name not in (*NAMES, "up", "build"):
        raise typer.BadParameter(f"one of {', '.join((*NAMES, 'up', 'build'))}")
    file = log_file(load_given().home, name)
    for line in tail(file, lines):
        typer.echo(line)

    async def print_new() -> None:
        async for line in follow_file(file):
            typer.echo(line)

    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(print_new())


@stack.command()
def doctor(
    install: Annotated[bool, typer.Option("--install", help="Bring missing packages by apt-get.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only what is not right.")] = False,
) -> None:
    """What this machine lacks, and the mend. Exit status 1 where something required is wrong."""
    from app.stack.doctor import examine, missing_packages
    from app.stack.livekit.packages import can_install
    from app.stack.livekit.packages import install as install_packages
    from app.stack.stack_env import load_given

    given = load_given()
    if install and (missing := missing_packages(given)):
        if not can_install():
            err.print("cannot install packages here: that takes apt-get, and root or sudo without a password")
        elif not install_packages(missing):
            err.print("apt-get did not succeed; see its output above")
    findings = examine(given)
    signs = {True: "[green]✓[/]", None: "[yellow]–[/]", False: "[red]✗[/]"}
    for finding in findings:
        if not (quiet and finding.good):
            out.print(f"{signs[finding.good]} {finding.what:<9} ", end="")
            mend = f" → {finding.mend}" if finding.mend else ""
            out.print(f"{finding.detail}{mend}", markup=False, soft_wrap=True)
    if any(finding.good is False for finding in findings):
        raise typer.Exit(1)


@stack.command()
def migrate() -> None:
    """Apply the migrations that DATABASE_URL lacks (`up` does it by itself)."""
    from app.stack.database.migrate import apply_migrations

    applied = asyncio.run(apply_migrations(Settings.load().database_url))
    out.print(f"applied: {', '.join(applied)}" if applied else "nothing to apply")


@stack.command("demo-info")
def demo_info() -> None:
    """What scripts need to call the example organization (also in .trunkline/demo.json)."""
    from app.stack.seed import read_demo
    from app.stack.stack_env import load_given

    typer.echo(json.dumps(read_demo(load_given().home), indent=1))
