"""Every tool that a team file may name, and what each takes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from livekit.agents import FunctionTool
from livekit.agents.llm.utils import build_legacy_openai_schema

from agents.conversation_state import ConversationState
from agents.tools.end_call import end_call
from agents.tools.look_up import look_up
from agents.tools.record_outcome import record_outcome
from agents.tools.save_details import save_details

AnyTool = FunctionTool[..., Any]

CATALOG: Mapping[str, AnyTool] = {
    tool.info.name: tool for tool in cast(list[AnyTool], [end_call, look_up, record_outcome, save_details])
}


@dataclass(frozen=True)
class Parameter:
    """One argument of a tool; `choices` is empty where any text goes."""

    required: bool
    choices: tuple[str, ...] = ()


def build_tools(names: Iterable[str], conversation: ConversationState) -> list[AnyTool]:
    """The tools of these names, for the agents of this conversation."""
    return [CATALOG[name] for name in names]


@cache
def tool_parameters(name: str) -> Mapping[str, Parameter]:
    """What the tool of this name takes, by argument name. Raises KeyError."""
    schema = cast(dict[str, Any], build_legacy_openai_schema(CATALOG[name])["function"]["parameters"])
    required = set(cast(list[str], schema.get("required", [])))
    return {
        name: Parameter(name in required, _choices(spec, schema))
        for name, spec in cast(dict[str, dict[str, Any]], schema.get("properties", {})).items()
    }


def _choices(spec: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[str, ...]:
    for part in [spec, *spec.get("allOf", []), *spec.get("anyOf", [])]:
        if reference := part.get("$ref"):
            part = schema["$defs"][reference.rsplit("/", 1)[1]]
        if "enum" in part:
            return tuple(part["enum"])
    return ()
