"""Texts with holes: `{{ first_name }}`, `{{ result }}`, `{{ result.price }}`. Nothing else is understood or run."""

import json
import re
from collections.abc import Mapping
from typing import Any

_HOLE = re.compile(r"\{\{\s*([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)\s*\}\}")
_BRACES = re.compile(r"\{\{.*?\}\}|\{\{", re.DOTALL)


def names_in(text: str) -> list[str]:
    """What the text asks for, in order: `first_name`, `result.price`."""
    return [match[1] for match in _HOLE.finditer(text)]


def broken_holes(text: str) -> list[str]:
    """What looks like a hole and is none: `{{ First Name }}`, or braces that never close."""
    return [match[0] for match in _BRACES.finditer(text) if not _HOLE.fullmatch(match[0])]


def uses_result(text: str) -> bool:
    return any(name.split(".")[0] == "result" for name in names_in(text))


def fill(text: str, values: Mapping[str, Any]) -> str:
    """The text with its holes filled; what no value is known for becomes nothing."""
    return re.sub(r" {2,}", " ", _HOLE.sub(lambda hole: _look(hole[1], values), text)) if "{{" in text else text


def _look(name: str, values: Mapping[str, Any]) -> str:
    value: Any = values
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_result(output: str) -> Any:
    """A tool's result as a template sees it: JSON where it is JSON (then it has fields), else the words."""
    try:
        return json.loads(output)
    except ValueError:
        return output
