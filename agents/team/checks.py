"""What a team file means: every name that it mentions exists, every rule can be followed, every hole can be filled.

These checks look at the plain values of the file and skip what has the wrong shape (which is reported elsewhere),
so that one mistyped field hides no other fault.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from agents.team.definition import HANDOFF_PREFIX, TeamDefinition
from agents.team.phrases import InvalidPhrase, captured_names, compile_phrase
from agents.team.templates import broken_holes, names_in
from agents.tools.signatures import SIGNATURES, Outcome

SPOKEN = (
    "farewell",
    "rescue_line",
    "trouble_line",
    "facts.*",
    "evaluation.*.check",
    "agents.*.instructions",
    "agents.*.greeting",
    "agents.*.welcome_back",
    "agents.*.fallback.*",
    "agents.*.handoffs.*.when",
    "agents.*.rules.*.say",
    "agents.*.rules.*.arguments.*",
)
PHRASES = (
    "agents.*.rules.*.hear.*",
    "agents.*.rules.*.unless.*",
    "agents.*.rules.*.after.*",
    "evaluation.*.said.*",
    "evaluation.*.not_said.*",
)


@dataclass(frozen=True)
class Fault:
    """`path` in dots and numbers from 0, as in `agents.1.handoffs.0.to`; empty for the whole file."""

    path: str
    message: str


def at(raw: Any, pattern: str, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every (path, value) of plain values that a pattern like `agents.*.name` reaches."""
    head, _, rest = pattern.partition(".")
    for key, value in _parts(raw):
        if head not in ("*", key):
            continue
        below = f"{path}.{key}".lstrip(".")
        if rest:
            yield from at(value, rest, below)
        else:
            yield below, value


def _parts(raw: Any) -> list[tuple[str, Any]]:
    if isinstance(raw, dict):
        return [(str(key), value) for key, value in raw.items()]
    return [(str(index), value) for index, value in enumerate(raw)] if isinstance(raw, list) else []


def texts(raw: Any, pattern: str, path: str = "") -> list[tuple[str, str]]:
    return [(where, value) for where, value in at(raw, pattern, path) if isinstance(value, str)]


def check_meaning(raw: dict[str, Any]) -> list[Fault]:
    """Every fault of meaning in a team's plain values, in the order of the file's parts."""
    names = [name for _, name in texts(raw, "agents.*.name")]
    faults = [*_repeated(texts(raw, "agents.*.name")), *_unknown(texts(raw, "entry"), names, "agent")]
    for path, agent in at(raw, "agents.*"):
        if isinstance(agent, dict):
            faults += _check_agent(path, agent, names)
    faults += _check_evaluation(raw)
    return [*faults, *_check_phrases(raw), *_check_holes(raw), *_check_characters(raw)]


def check_evaluation(team: TeamDefinition) -> list[Fault]:
    """Warnings: criteria that only a language model can judge."""
    return [
        Fault(f"evaluation.{index}", f"without a language model {one.name!r} is not judged; give it a rule as well")
        for index, one in enumerate(team.evaluation)
        if not one.has_rules
    ]


def check_reach(team: TeamDefinition) -> list[Fault]:
    """Warnings: agents that nobody ever hands over to."""
    reached, waiting = {team.entry}, [team.entry]
    while waiting:
        for handoff in team.agent(waiting.pop()).handoffs:
            if handoff.to not in reached:
                reached.add(handoff.to)
                waiting.append(handoff.to)
    return [
        Fault(f"agents.{index}", f"nobody hands over to {agent.name!r}, so it never speaks")
        for index, agent in enumerate(team.agents)
        if agent.name not in reached
    ]


def _check_agent(path: str, agent: dict[str, Any], names: list[str]) -> Iterator[Fault]:
    targets = texts(agent, "handoffs.*.to", path)
    tools = texts(agent, "tools.*", path)
    yield from _unknown(targets, names, "agent")
    yield from _repeated(targets)
    yield from _unknown(tools, list(SIGNATURES), "tool")
    yield from _repeated(tools)
    for where, target in targets:
        if target == agent.get("name"):
            yield Fault(where, "an agent cannot hand over to itself")
    for where, rule in at(agent, "rules.*", path):
        if isinstance(rule, dict):
            yield from _check_rule(where, rule, [name for _, name in tools], [name for _, name in targets])


def _check_rule(path: str, rule: dict[str, Any], tools: list[str], targets: list[str]) -> Iterator[Fault]:
    if not any(rule.get(part) for part in ("say", "tool", "handoff", "end")):
        yield Fault(path, "does nothing; give it say, tool, handoff or end")
    if rule.get("handoff") and rule.get("end"):
        yield Fault(f"{path}.end", "a rule either hands over or ends the call")
    for where, target in texts(rule, "handoff", path):
        if target not in targets:
            yield Fault(where, f"this agent has no handoff to {target!r}{_meant(target, targets)}")
    if rule.get("end") is True and "end_call" not in tools:
        yield Fault(f"{path}.end", "needs end_call among this agent's tools")
    tool = rule.get("tool")
    if isinstance(tool, str):
        yield from _check_call(path, tool, rule.get("arguments") or {}, tools)
    elif rule.get("arguments"):
        yield Fault(f"{path}.arguments", "there is no tool to give them to")


def _check_call(path: str, tool: str, arguments: Any, tools: list[str]) -> Iterator[Fault]:
    if tool.startswith(HANDOFF_PREFIX):
        yield Fault(f"{path}.tool", "write `handoff: NAME` instead")
        return
    if tool not in tools:
        yield Fault(f"{path}.tool", f"is not among this agent's tools{_meant(tool, tools)}")
    if tool not in SIGNATURES or not isinstance(arguments, dict):
        return
    parameters = SIGNATURES[tool]
    for name, value in arguments.items():
        where = f"{path}.arguments.{name}"
        if name not in parameters:
            yield Fault(where, f"{tool} takes no argument of this name{_meant(str(name), parameters)}")
        elif (choices := parameters[name].choices) and value not in choices and not names_in(str(value)):
            yield Fault(where, f"must be one of {', '.join(choices)}")
    for name, parameter in parameters.items():
        if parameter.required and name not in arguments:
            yield Fault(f"{path}.arguments", f"{tool} needs the argument {name!r}")


def _check_evaluation(raw: dict[str, Any]) -> Iterator[Fault]:
    tools = sorted({tool for _, tool in texts(raw, "agents.*.tools.*")})
    yield from _repeated(texts(raw, "evaluation.*.name"))
    yield from _unknown(texts(raw, "evaluation.*.tool_called"), tools, "tool of this team")
    yield from _unknown(texts(raw, "evaluation.*.outcome.*"), list(Outcome), "outcome")


def _check_characters(raw: Any, path: str = "") -> Iterator[Fault]:
    """Neither Postgres nor a voice can do anything with these, and YAML can write them: \"\\0\"."""
    if isinstance(raw, str) and re.search(r"[\x00-\x08]", raw):
        yield Fault(path, "holds a control character")
    for key, value in _parts(raw):
        yield from _check_characters(value, f"{path}.{key}".lstrip("."))


def _check_phrases(raw: Any) -> Iterator[Fault]:
    for pattern in PHRASES:
        for path, phrase in texts(raw, pattern):
            try:
                compile_phrase(phrase)
            except InvalidPhrase as error:
                yield Fault(path, error.detail)


def _check_holes(raw: dict[str, Any]) -> Iterator[Fault]:
    variables = {name for name, _ in _parts(raw.get("variables"))}
    rules = {path: rule for path, rule in at(raw, "agents.*.rules.*") if isinstance(rule, dict)}
    for pattern in SPOKEN:
        for path, text in texts(raw, pattern):
            rule = next((rule for where, rule in rules.items() if path.startswith(f"{where}.")), None)
            known = variables | (_rule_names(rule) if rule else set())
            may_use_result = rule is not None and bool(rule.get("tool")) and path.endswith(".say")
            yield from _check_text(path, text, known, may_use_result=may_use_result)


def _check_text(path: str, text: str, known: set[str], *, may_use_result: bool) -> Iterator[Fault]:
    for hole in broken_holes(text):
        yield Fault(path, f"cannot read {hole!r}; write {{{{ name }}}} in small letters")
    for name in names_in(text):
        root = name.split(".")[0]
        if root == "result" and not may_use_result:
            yield Fault(path, "only the `say` of a rule with a tool may use {{ result }}")
        elif root != "result" and name not in known:
            yield Fault(path, f"{{{{ {name} }}}} is not declared under variables{_meant(name, known)}")


def _rule_names(rule: dict[str, Any]) -> set[str]:
    """What this rule's phrases capture: each may be used if any phrase keeps it."""
    names: set[str] = set()
    for _, phrase in texts(rule, "hear.*"):
        try:
            names |= captured_names(phrase)
        except InvalidPhrase:
            continue
    return names


def _unknown(found: Iterable[tuple[str, str]], known: list[str], what: str) -> Iterator[Fault]:
    for path, name in found:
        if name not in known:
            yield Fault(path, f"no {what} is called {name!r}{_meant(name, known) or _known(known)}")


def _repeated(found: Iterable[tuple[str, str]]) -> Iterator[Fault]:
    seen: set[str] = set()
    for path, name in found:
        if name in seen:
            yield Fault(path, f"{name!r} is here twice")
        seen.add(name)


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _known(known: Iterable[str]) -> str:
    return f"; there are {', '.join(sorted(known))}" if known else ""
