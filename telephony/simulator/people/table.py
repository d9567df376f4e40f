"""Which number belongs to which persona: `personas.yaml`, read and checked."""

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Self

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from app.errors import InvalidInput
from telephony.simulator.people.persona import Mix, Part, Persona, Written

SHIPPED = Path(__file__).with_name("personas.yaml")

_WRITTEN: TypeAdapter[Written] = TypeAdapter(Written)


class InvalidPersonas(InvalidInput):
    """`personas.yaml` or an inline persona is wrong; `extra["errors"]` names every fault with its path."""

    code = "invalid_personas"
    title = "Invalid persona"


class Range(Part):
    """Numbers whose last two digits lie in `first`..`last`, both included."""

    first: int = Field(ge=0, le=99)
    last: int = Field(ge=0, le=99)
    persona: str

    def covers(self, number: str) -> bool:
        ends = number[-2:]
        return ends.isdecimal() and self.first <= int(ends) <= self.last


class Prefixed(Range):
    """The same, of numbers that begin so."""

    prefix: str = Field(pattern=r"^\+[0-9]+$")

    def covers(self, number: str) -> bool:
        return number.startswith(self.prefix) and super().covers(number)


class PersonaTable(Part):
    """The whole file. A number's own rule wins, then the first prefixed range that covers it, then the first other
    one, then `default`."""

    personas: dict[str, Written]
    numbers: dict[str, str] = Field(default_factory=dict)
    prefixed: tuple[Prefixed, ...] = ()
    last_two_digits: tuple[Range, ...] = ()
    default: str

    @model_validator(mode="after")
    def _knows_its_personas(self) -> Self:
        mixes = [persona for persona in self.personas.values() if isinstance(persona, Mix)]
        named = {self.default, *self.numbers.values(), *(rule.persona for rule in self._ranges)}
        named |= {name for mix in mixes for name in mix.of}
        if missing := sorted(named - self.personas.keys()):
            raise ValueError(f"no persona is called {', '.join(missing)}")
        if nested := sorted({name for mix in mixes for name in mix.of if isinstance(self.personas[name], Mix)}):
            raise ValueError(f"a mix is made of people, not of mixes: {', '.join(nested)}")
        return self

    @property
    def _ranges(self) -> tuple[Range, ...]:
        return (*self.prefixed, *self.last_two_digits)

    def choose(self, number: str) -> str:
        """The name of the persona, or mix, that `number` belongs to."""
        ranged = next((rule.persona for rule in self._ranges if rule.covers(number)), None)
        return self.numbers.get(number) or ranged or self.default

    def draw(self, name: str, chance: Random) -> tuple[str, Persona]:
        """Who this call meets, and their name: for a mix one of its people, with everything left to chance decided."""
        persona = self.personas[name]
        if isinstance(persona, Mix):
            (name,) = chance.choices(list(persona.of), weights=list(persona.of.values()))
            persona = self.personas[name]
        assert not isinstance(persona, Mix)  # checked when the file was read
        return name, persona.drawn(chance)


def load_personas(path: Path) -> PersonaTable:
    """Read and check a persona file. Raises InvalidPersonas with every fault."""
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidPersonas(f"{path.name} is not YAML: {error}") from error
    try:
        return PersonaTable.model_validate(content)
    except ValidationError as invalid:
        raise _explain(path.name, invalid) from invalid


def parse_persona(content: object) -> Persona:
    """A persona given inline, as JSON; one without a `kind` answers. Raises InvalidPersonas."""
    if isinstance(content, Mapping):
        content = {"kind": "answers", **content}
    try:
        persona = _WRITTEN.validate_python(content)
    except ValidationError as invalid:
        raise _explain("The persona", invalid) from invalid
    if isinstance(persona, Mix):
        raise InvalidPersonas("The persona is a mix, which only the file may hold.", errors=[])
    return persona


def _explain(what: str, invalid: ValidationError) -> InvalidPersonas:
    errors = [
        {"path": ".".join(str(part) for part in fault["loc"]), "message": fault["msg"]} for fault in invalid.errors()
    ]
    first = errors[0]
    return InvalidPersonas(f"{what} is not valid: {first['path']}: {first['message']}", errors=errors)
