"""How the commands print: tables, lines, and JSON for programs."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON on stdout.")]

UNBOUNDED = 10_000
"""Characters in a line of a pipe or a file: a table is as wide as what stands in it."""


def show(shown: RenderableType) -> None:
    """As wide as the terminal, and as it must be where there is none."""
    console = Console(highlight=False)
    (console if console.is_terminal else Console(highlight=False, width=UNBOUNDED)).print(shown, markup=False)


def say(line: str) -> None:
    """Whatever it holds, in one line."""
    Console(highlight=False).print(line, markup=False, soft_wrap=True)


def tell(answer: Any, shown: RenderableType, *, as_json: bool) -> None:
    """The answer for a program, or what is shown of it to a person."""
    if as_json:
        say(json.dumps(answer, separators=(",", ":")))
    elif isinstance(shown, str):
        say(shown)
    else:
        show(shown)
