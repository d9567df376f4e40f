"""Who picks up: the scripted people of `personas.yaml`, and which number belongs to which of them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from app.errors import InvalidInput

SHIPPED = Path(__file__).with_name("personas.yaml")

Seconds = Annotated[float, Field(ge=0, le=600)]


class InvalidPersonas(InvalidInput):
    """`personas.yaml` or an inline persona is wrong; `extra["errors"]` names every fault with its path."""

    code = "invalid_personas"
    title = "Invalid persona"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SpokenLine(_Part):
    """One thing to say (or keys to press) after the other side's reply has ended.

    A plain string in the file is a line that says it. `wait_seconds`: how long to wait for the reply at most.
    `barge_in_after_seconds`: do not wait for its end but talk over it, so long after it began. `audio`: a WAV file
    instead of `say`.
    """

    say: str | None = Field(None, min_length=1, max_length=500)
    audio: Path | None = None
    digits: str = Field("", pattern=r"^[0-9*#wW]*$", max_length=32)
    wait_seconds: Seconds = 15.0
    barge_in_after_seconds: Seconds | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_plain_text(cls, content: object) -> object:
        return {"say": content} if isinstance(content, str) else content

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.say is not None and self.audio is not None:
            raise ValueError("a line has either `say` or `audio`")
        if self.say is None and self.audio is None and not self.digits:
            raise ValueError("a line needs `say`, `audio` or `digits`")
        return self


class Answers(_Part):
    """Picks up and converses. After the last line: waits for the reply, then hangs up or lets the other side do it,
    but never stays longer than `max_seconds` in all or `patience_seconds` without hearing anything."""

    kind: Literal["answers"] = "answers"
    rings_seconds: Seconds = 1.0
    lines: tuple[SpokenLine, ...] = ()
    speed: float = Field(1.0, ge=0.5, le=2.0)
    reply_silence_seconds: float = Field(0.7, ge=0.2, le=5.0)
    hangs_up: bool = True
    patience_seconds: Seconds = 8.0
    max_seconds: Seconds = 120.0


class Voicemail(_Part):
    """A machine: greeting, beep (1000 Hz, 0.5 s), then it records and hangs up."""

    kind: Literal["voicemail"] = "voicemail"
    rings_seconds: Seconds = 2.0
    greeting: str = Field(min_length=1, max_length=500)
    records_seconds: Seconds = 8.0


class HangsUpEarly(_Part):
    kind: Literal["hangs_up_early"] = "hangs_up_early"
    rings_seconds: Seconds = 1.0
    after_seconds: Seconds = 1.5


class Busy(_Part):
    kind: Literal["busy"] = "busy"
    rings_seconds: Seconds = 0.5


class NoAnswer(_Part):
    kind: Literal["no_answer"] = "no_answer"


class Rejects(_Part):
    kind: Literal["rejects"] = "rejects"
    rings_seconds: Seconds = 1.0


class Invalid(_Part):
    """No such number: the network says 404 before anything rings."""

    kind: Literal["invalid"] = "invalid"


PicksUp = Answers | Voicemail | HangsUpEarly
Persona = Annotated[
    Answers | Voicemail | HangsUpEarly | Busy | NoAnswer | Rejects | Invalid, Field(discriminator="kind")
]
_PERSONA: TypeAdapter[Persona] = TypeAdapter(Persona)


class Range(_Part):
    """Numbers whose last two digits lie in `first`..`last`, both included."""

    first: int = Field(ge=0, le=99)
    last: int = Field(ge=0, le=99)
    persona: str


class PersonaTable(_Part):
    """The whole file. A number's own rule wins, then the range of its last two digits, then `default`."""

    personas: dict[str, Persona]
    numbers: dict[str, str] = Field(default_factory=dict)
    last_two_digits: tuple[Range, ...] = ()
    default: str

    @model_validator(mode="after")
    def _knows_its_personas(self) -> Self:
        named = {self.default, *self.numbers.values(), *(rule.persona for rule in self.last_two_digits)}
        missing = sorted(named - self.personas.keys())
        if missing:
            raise ValueError(f"no persona is called {', '.join(missing)}")
        return self

    def choose(self, number: str) -> tuple[str, Persona]:
        """Who picks up `number`: the persona's name and itself."""
        name = self.numbers.get(number) or self._by_digits(number) or self.default
        return name, self.personas[name]

    def _by_digits(self, number: str) -> str | None:
        digits = re.search(r"\d\d$", number)
        if digits is None:
            return None
        last = int(digits.group())
        return next((rule.persona for rule in self.last_two_digits if rule.first <= last <= rule.last), None)


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
        return _PERSONA.validate_python(content)
    except ValidationError as invalid:
        raise _explain("The persona", invalid) from invalid


def _explain(what: str, invalid: ValidationError) -> InvalidPersonas:
    errors = [
        {"path": ".".join(str(part) for part in fault["loc"]), "message": fault["msg"]} for fault in invalid.errors()
    ]
    first = errors[0]
    return InvalidPersonas(f"{what} is not valid: {first['path']}: {first['message']}", errors=errors)
