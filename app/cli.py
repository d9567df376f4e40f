"""The command line: `trunkline …`. Every command imports what it runs when it runs."""

import asyncio
import faulthandler
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from app.console.stack import stack
from app.errors import TrunklineError, describe_faults
from app.settings import Settings


class FileTrouble(TrunklineError):
    """A file or folder that cannot be read or written."""

    code = "file_trouble"


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Trunkline: phone calls, answered by a team of AI agents.",
)
teams = typer.Typer(no_args_is_help=True, help="The teams that answer.")
app.add_typer(stack)
app.add_typer(teams, name="teams")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def main() -> NoReturn:
    """The entry point. An error of ours is a clear line, without a traceback; exit status 1."""
    try:
        app()
    except TrunklineError as error:
        show_error(error)
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        show_error(FileTrouble(describe_trouble(error)))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def describe_trouble(error: OSError) -> str:
    """The file and what is wrong with it; of one that we keep, also where that is set."""
    file = Path(str(error.filename)).absolute()
    ours = file.is_relative_to(Settings.load().home.absolute())
    return f"{error.filename}: {error.strerror}." + (" TRUNKLINE_HOME must be a folder of ours." if ours else "")


def show_error(error: TrunklineError) -> None:
    err.print("error:", style="bold red", end=" ")
    err.print(describe_faults(error.detail, error.extra.get("errors", [])), markup=False, soft_wrap=True)


# -- the example


@app.command()
def demo() -> None:
    """The main job, visibly: two calls, a handoff, a campaign dialed to the end."""
    from app.console.demonstration.show import run_demo

    raise typer.Exit(run_demo(Settings.load()))


# -- the processes


def run_process(process: Coroutine[Any, Any, None], settings: Settings) -> None:
    """A composition root of ours, until SIGTERM or SIGINT. SIGUSR1 writes the stack of every thread to the log, and so
    does an end by a fault or by SIGABRT."""
    from app.logs import configure_logs

    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    configure_logs(level=settings.log_level, show_pii=settings.log_pii)
    asyncio.run(process)


@app.command()
def api() -> None:
    """The HTTP process: REST, webhooks, media websockets, live events."""
    from app.main import run_api

    settings = Settings.load()
    run_process(run_api(settings), settings)


@app.command()
def worker() -> None:
    """The process that holds conversations."""
    from agents.worker import run_worker

    settings = Settings.load()
    run_process(run_worker(settings), settings)


@app.command()
def dialer() -> None:
    """The process that dials campaigns."""
    from campaigns.dialing.dialer import run_dialer

    settings = Settings.load()
    run_process(run_dialer(settings), settings)


@app.command()
def simulator() -> None:
    """A carrier that runs here, shaped like Twilio."""
    from telephony.simulator.main import run_simulator

    settings = Settings.load()
    run_process(run_simulator(settings), settings)


# -- through the REST API


@teams.command("push")
def teams_push(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Check a team file and publish it."""
    from app.console.teams import push_team, read_team_file

    pushed = asyncio.run(push_team(Settings.load(), read_team_file(file)))
    out.print(f"Published {pushed['slug']}, version {pushed['version']}.", markup=False)


FORWARDS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""For a command whose own commands are imported only when it runs."""


@app.command(context_settings=FORWARDS, add_help_option=False)
def organization(context: typer.Context) -> None:
    """Organizations: create one, with its first API key."""
    from app.console.organization import organization as commands

    commands(context.args or ["--help"], prog_name="trunkline organization")


@app.command(context_settings=FORWARDS, add_help_option=False)
def campaign(context: typer.Context) -> None:
    """Campaigns: run a file of contacts, pause, resume, fetch the results."""
    from app.console.campaigns.commands import campaign as commands

    commands(context.args or ["--help"], prog_name="trunkline campaign")


@app.command(context_settings=FORWARDS, add_help_option=False)
def contacts(context: typer.Context) -> None:
    """Contacts: list them, why each is called or not; add, change and take out single ones."""
    from app.console.callees.contacts import contacts as commands

    commands(context.args or ["--help"], prog_name="trunkline contacts")


@app.command(context_settings=FORWARDS, add_help_option=False)
def dnc(context: typer.Context) -> None:
    """Do not call: add, import, list and remove numbers that are never dialed."""
    from app.console.callees.do_not_call import dnc as commands

    commands(context.args or ["--help"], prog_name="trunkline dnc")


@app.command(context_settings=FORWARDS, add_help_option=False)
def rules(context: typer.Context) -> None:
    """Dialing rules: what may be dialed, how often, and for how much."""
    from app.console.dialing_rules import rules as commands

    commands(context.args or ["--help"], prog_name="trunkline rules")


@app.command(context_settings=FORWARDS, add_help_option=False)
def lanes(context: typer.Context) -> None:
    """Lanes: how fast is dialed and how many calls at once, by trunk, carrier account and number, and in all."""
    from app.console.lanes import lanes as commands

    commands(context.args or ["--help"], prog_name="trunkline lanes")


@app.command(context_settings=FORWARDS, add_help_option=False)
def operators(context: typer.Context) -> None:
    """Operators: the people who take calls; be one from here."""
    from app.console.operators import operators as commands

    commands(context.args or ["--help"], prog_name="trunkline operators")


@app.command(context_settings=FORWARDS, add_help_option=False)
def webhooks(context: typer.Context) -> None:
    """Webhooks: addresses that are told of campaign events, signed."""
    from app.console.webhooks import webhooks as commands

    commands(context.args or ["--help"], prog_name="trunkline webhooks")


@app.command()
def dial(
    number: Annotated[str, typer.Argument(help="In international form: +12025550123.")],
    team: Annotated[str, typer.Option("--team", help="The slug of the team that talks.")],
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the call has ended.")] = False,
    from_number: Annotated[str | None, typer.Option("--from", help="One of our numbers.")] = None,
) -> None:
    """Call a number and let a team talk."""
    from app.console.dial import place_call, watch_call

    settings = Settings.load()
    call = asyncio.run(place_call(settings, number, team, from_number=from_number))
    out.print(f"{call['id']} {call['status']}", markup=False)
    if wait:
        ended = asyncio.run(
            watch_call(settings, call["id"], lambda line: out.print(line, markup=False, soft_wrap=True))
        )
        if ended["status"] != "completed":
            raise typer.Exit(1)


if __name__ == "__main__":
    main()
