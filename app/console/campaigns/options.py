"""What is said of a campaign on the command line, as the api reads it."""

import inspect
import json
from collections.abc import Callable
from datetime import datetime
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, TypedDict, TypeVar, cast, get_type_hints

import typer
import yaml

from app.console.client import read_id
from app.errors import InvalidInput

FromNumber = Annotated[str | None, typer.Option("--from", help="One of our numbers.")]
MaxConcurrent = Annotated[int | None, typer.Option("--max-concurrent", help="Calls at once.")]
CallsPerSecond = Annotated[float | None, typer.Option("--calls-per-second")]
Priority = Annotated[int | None, typer.Option("--priority", help="-9 to 9; a higher one dials first.")]
StartsAt = Annotated[str | None, typer.Option("--starts-at", help="2026-11-23T09:00, by this machine's clock.")]
Deadline = Annotated[str | None, typer.Option("--deadline", help="Nobody is called after it.")]
Region = Annotated[str | None, typer.Option("--region", help="Country of numbers written without one, like US.")]
Elsewhere = Annotated[
    str, typer.Option("--elsewhere", help="Numbers that wait in another running campaign: warn, skip, allow.")
]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="Any setting: retry.max_attempts=4, canary.contacts=50. Repeatable.")
]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", exists=True, dir_okay=False, help="Settings as a YAML or JSON file.")
]
CampaignId = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="The campaign's id.", parser=read_id)]


class PlanOptions(TypedDict, total=False):
    """What `create` and `edit` may be told of a campaign beside its name and team; None where nothing is said."""

    from_number: FromNumber
    max_concurrent: MaxConcurrent
    calls_per_second: CallsPerSecond
    priority: Priority
    starts_at: StartsAt
    deadline_at: Deadline
    region: Region
    sets: Sets
    settings: SettingsFile


Command = TypeVar("Command", bound=Callable[..., None])


def with_plan_options(command: Command) -> Command:
    """A command that ends in `**given: Unpack[PlanOptions]`, as typer can read it: an option for each key."""
    shown = inspect.signature(command)
    named = [parameter for parameter in shown.parameters.values() if parameter.kind is not Parameter.VAR_KEYWORD]
    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in get_type_hints(PlanOptions, include_extras=True).items()
    ]
    # What inspect, and typer with it, takes for the signature.
    vars(command)["__signature__"] = shown.replace(parameters=[*named, *options])
    return command


class BadOption(InvalidInput):
    """A value on the command line that cannot be read."""

    code = "bad_option"


def gather(*, settings: Path | None = None, sets: list[str] | None = None, **given: Any) -> dict[str, Any]:
    """One object: of the file, then the options given, then each `--set`; the later wins. Raises BadOption."""
    body = read_settings_file(settings) if settings else {}
    for name in ("starts_at", "deadline_at"):
        given[name] = read_instant(given.get(name))
    body |= {name: value for name, value in given.items() if value is not None}
    for text in sets or []:
        put(body, text)
    return body


def read_settings_file(file: Path) -> dict[str, Any]:
    """Raises BadOption."""
    try:
        found = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadOption(f"{file} is neither YAML nor JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadOption(f"{file} must hold names and values.")
    # YAML reads dates by itself; the api wants text.
    return cast(dict[str, Any], json.loads(json.dumps(found, default=str)))


def read_instant(text: str | None) -> str | None:
    """RFC 3339; without an offset it is meant by this machine's clock. Raises BadOption."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except ValueError as error:
        raise BadOption(f'"{text}" is no time; write one like 2026-11-23T09:00 or 2026-11-23T09:00-05:00.') from error


def put(body: dict[str, Any], text: str) -> None:
    """`a.b=value` into nested objects; the value is JSON where it can be read as such. Raises BadOption."""
    path, equals, value = text.partition("=")
    names = path.strip().split(".")
    if not equals or not all(names):
        raise BadOption(f'"{text}" is not NAME=VALUE, like canary.contacts=50.')
    for name in names[:-1]:
        inner = body.setdefault(name, {})
        if not isinstance(inner, dict):
            raise BadOption(f'"{text}": {name} is a value already.')
        body = cast(dict[str, Any], inner)
    body[names[-1]] = read_value(value)


def read_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
