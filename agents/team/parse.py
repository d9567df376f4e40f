"""A team from its YAML file, with every fault named at once.

The file is read in two steps: YAML into plain values (safe tags only; repeated keys, deep nesting and anchors that
multiply are refused), then values into a TeamDefinition. Shape and meaning (agents/team/checks.py) are both looked
at before anything is reported, so that an author mends a file once, not once a fault.
"""

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from agents.team.checks import Fault, check_evaluation, check_meaning, check_reach
from agents.team.definition import TeamDefinition
from app.errors import InvalidInput

MAX_CHARACTERS = 256 * 1024
MAX_DEPTH = 20
MAX_ALIASES = 20


class InvalidTeam(InvalidInput):
    """A team file cannot be used; `extra["errors"]` lists every fault: {"path", "message", "line"}."""

    code = "invalid_team"


@dataclass(frozen=True)
class ParsedTeam:
    """`warnings` name what is allowed and probably not meant."""

    definition: TeamDefinition
    warnings: list[Fault]


class TeamLoader(yaml.SafeLoader):
    """Safe YAML as its 1.2 core has it: `yes`, `no` and `12:30` are text, which is what people say on the phone."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML's own way: a table of the class

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a plain word", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is here twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("tag:yaml.org,2002:int", r"^[-+]?[0-9]+$", list("-+0123456789")),
    ("tag:yaml.org,2002:float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", list("-+.0123456789")),
    ("tag:yaml.org,2002:merge", r"^<<$", ["<"]),
):
    yaml.add_implicit_resolver(_tag, re.compile(_pattern), _first, Loader=TeamLoader)


def parse_team(text: str) -> TeamDefinition:
    """The team that a YAML text describes. Raises InvalidTeam with every fault."""
    return read_team(text).definition


def read_team(text: str) -> ParsedTeam:
    """As parse_team, with warnings. Raises InvalidTeam with every fault."""
    raw, lines = read_yaml(text)
    if not isinstance(raw, dict):
        raise _refuse([Fault("", "a team file is a mapping: name, slug, entry, agents and so on")], {})
    faults = check_meaning(raw)
    definition: TeamDefinition | None = None
    try:
        definition = TeamDefinition.model_validate(raw)
    except ValidationError as error:
        faults = [*_shape_faults(error), *faults]
    if faults or definition is None:
        raise _refuse(faults, lines)
    return ParsedTeam(definition, [*check_reach(definition), *check_evaluation(definition)])


def read_yaml(text: str) -> tuple[Any, dict[str, int]]:
    """Plain values, and the line on which each path stands. Raises InvalidTeam with a line and a column."""
    if len(text) > MAX_CHARACTERS:
        raise _refuse([Fault("", f"the file is longer than {MAX_CHARACTERS} characters")], {})
    try:
        _check_bounds(text)
        node = yaml.compose(text, Loader=TeamLoader)
        return yaml.load(text, Loader=TeamLoader), dict(_lines(node, "")) if node else {}  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _unreadable(error.problem or error.context or "unknown fault", mark) from error
    except (yaml.YAMLError, ValueError) as error:
        raise _unreadable(str(error).splitlines()[0], None) from error


def _unreadable(problem: str, mark: Any) -> InvalidTeam:
    """One error for a text that is not YAML, with its place as far as PyYAML knows it."""
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    fault = Fault("", f"this is not YAML that we can read: {place}{problem}")
    return _refuse([fault], {"": mark.line + 1} if mark else {})


def _check_bounds(text: str) -> None:
    """Refuse what would cost more to build than to read; looks at the events only, before anything is built."""
    aliases = 0
    open_anchors: list[str | None] = []
    for event in yaml.parse(text, Loader=TeamLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_anchors.append(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            open_anchors.pop()
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
            if event.anchor in open_anchors:
                raise _unreadable("an anchor holds itself", event.start_mark)
        if len(open_anchors) > MAX_DEPTH:
            raise _unreadable(f"nested deeper than {MAX_DEPTH}", event.start_mark)
        if aliases > MAX_ALIASES:
            raise _unreadable(f"more than {MAX_ALIASES} aliases", event.start_mark)


def _lines(node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _lines(value, f"{path}.{key.value}".lstrip("."))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, f"{path}.{index}".lstrip("."))


def _shape_faults(error: ValidationError) -> list[Fault]:
    faults: list[Fault] = []
    for fault in error.errors(include_url=False, include_context=True):
        parts = [str(part) for part in fault["loc"] if str(part) not in ("str", "int", "float", "bool", "[key]")]
        message = fault["msg"]
        if fault["type"] == "extra_forbidden":
            message = f"there is no field {parts[-1]!r} here"
        elif fault["type"] == "string_type" and not isinstance(fault["input"], dict | list):
            message = f'must be text; put it in quotes: "{fault["input"]}"'
        faults.append(Fault(".".join(parts), message[:1].lower() + message[1:]))
    return faults


def _refuse(faults: list[Fault], lines: dict[str, int]) -> InvalidTeam:
    errors = [
        {"path": fault.path, "message": fault.message, "line": _line_of(fault.path, lines)}
        for fault in dict.fromkeys(faults)
    ]
    count = f"{len(errors)} faults" if len(errors) > 1 else "a fault"
    listed = "\n".join(f"  {e['path']}: {e['message']}" if e["path"] else f"  {e['message']}" for e in errors)
    return InvalidTeam(f"The team file has {count}:\n{listed}", errors=errors)


def _line_of(path: str, lines: dict[str, int]) -> int | None:
    """The line of the path, or of the nearest part around it (a missing field has no line of its own)."""
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path)
