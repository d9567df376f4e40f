"""Who picks up, as the kinds of persona that `personas.yaml` is written in."""

from pathlib import Path
from random import Random
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Seconds = Annotated[float, Field(ge=0, le=600)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Between = tuple[Seconds, Seconds]
"""Least and most; each call draws its own from in between."""


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SpokenLine(Part):
    """One thing to say (or keys to press) after the other side's reply has ended.

    A plain string in the file is a line that says it. `wait_seconds`: how long to wait for the reply at most.
    `barge_in_after_seconds`: do not wait for its end but talk over it, so long after it began. `audio`: a WAV file
    instead of `say`.
    """

    say: Text | None = None
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


class Rings(Part):
    """`rings_between`: the time to pick up is drawn for each call, instead of `rings_seconds`."""

    rings_seconds: Seconds = 1.0
    rings_between: Between | None = None

    def drawn(self, chance: Random) -> Self:
        """The same, with what each call draws decided."""
        if self.rings_between is None:
            return self
        return self.model_copy(update={"rings_seconds": chance.uniform(*self.rings_between)})


class Converses(Rings):
    """`talks_between`: how long the conversation lasts where only the signaling is played."""

    lines: tuple[SpokenLine, ...] = ()
    speed: float = Field(1.0, ge=0.5, le=2.0)
    reply_silence_seconds: float = Field(0.7, ge=0.2, le=5.0)
    hangs_up: bool = True
    patience_seconds: Seconds = 8.0
    max_seconds: Seconds = 120.0
    talks_between: Between = (10.0, 60.0)


class Answers(Converses):
    """Picks up and converses. After the last line: waits for the reply, then hangs up or lets the other side do it,
    but never stays longer than `max_seconds` in all or `patience_seconds` without hearing anything.

    `greets`: said on picking up, after `greets_after_seconds`, without waiting for anybody. `hangs_up_at`: hangs up as
    soon as one of these words is heard.
    """

    kind: Literal["answers"] = "answers"
    greets: SpokenLine | None = None
    greets_after_seconds: Seconds = 0.5
    hangs_up_at: tuple[Text, ...] = ()


class Beep(Part):
    hertz: float = Field(1000.0, ge=200, le=3400)
    seconds: float = Field(0.5, gt=0, le=3)


class Voicemail(Rings):
    """A machine: greeting, `pause_seconds` of silence, the beeps, then it records and hangs up.

    `beeps: []` records without a sign. `full`: hangs up after the greeting, and takes no message.
    """

    kind: Literal["voicemail"] = "voicemail"
    rings_seconds: Seconds = 2.0
    greeting: Text
    pause_seconds: Seconds = 0.3
    beeps: tuple[Beep, ...] = (Beep(hertz=1000.0, seconds=0.5),)
    records_seconds: Seconds = 8.0
    full: bool = False


class Menu(Rings):
    """An automatic attendant: speaks its `prompt` up to `repeats` times, `waits_seconds` after each, and hangs up.

    When it hears speech in between it says `misunderstood` and begins again.
    """

    kind: Literal["menu"] = "menu"
    prompt: Text
    misunderstood: Text = "Sorry, I did not understand."
    repeats: int = Field(3, ge=1, le=10)
    waits_seconds: Seconds = 4.0


class Screens(Converses):
    """Call screening: a machine asks who calls and why, hears the reply, and takes `decides_seconds` over it.

    `accepts`: the person comes on with `greets` and converses like one who answers; else the machine says `declines`.
    """

    kind: Literal["screens"] = "screens"
    prompt: Text
    holds: Text = "Thanks. Please stay on the line."
    decides_seconds: Seconds = 4.0
    accepts: bool = True
    greets: SpokenLine = SpokenLine(say="Hello?", digits="")
    declines: Text = "The person you are calling is not available. Goodbye."


class HangsUpEarly(Rings):
    kind: Literal["hangs_up_early"] = "hangs_up_early"
    after_seconds: Seconds = 1.5


class Busy(Rings):
    kind: Literal["busy"] = "busy"
    rings_seconds: Seconds = 0.5


class NoAnswer(Part):
    kind: Literal["no_answer"] = "no_answer"

    def drawn(self, chance: Random) -> Self:
        return self


class Rejects(Rings):
    kind: Literal["rejects"] = "rejects"


class Invalid(Part):
    """No such number: the network says 404 before anything rings."""

    kind: Literal["invalid"] = "invalid"

    def drawn(self, chance: Random) -> Self:
        return self


class Mix(Part):
    """A crowd: each call meets one of these personas, by weight."""

    kind: Literal["mix"] = "mix"
    of: dict[str, Annotated[float, Field(gt=0)]] = Field(min_length=1)


PicksUp = Answers | Voicemail | Menu | Screens | HangsUpEarly
Persona = PicksUp | Busy | NoAnswer | Rejects | Invalid
"""One that a call meets."""
Written = Annotated[
    Answers | Voicemail | Menu | Screens | HangsUpEarly | Busy | NoAnswer | Rejects | Invalid | Mix,
    Field(discriminator="kind"),
]
"""One that the file may hold."""
