"""What a rule listens for: phrases matched word by word, never regular expressions.

A recognizer writes "uh, what're your OPENING hours" for one and "opening our's" for another, so matching knows
only words: small letters and digits, apostrophes dropped, everything else a gap. There is no expression that could
run away: the work is bounded by the words heard (the last 200) and three gaps a phrase.

    opening hours      these words, side by side
    book|schedule      one of these words
    bill*              a word that begins so
    talk ... billing   up to three words between
    name is <name>     one word, kept as `name`
    <day:monday|tue*>  one of these words, kept as `day`
    call me <when...>  one to eight words, kept as `when`
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from app.errors import InvalidInput

MAX_WORDS_HEARD = 200
MAX_TOKENS = 20
MAX_OPEN_TOKENS = 3
GAP_WORDS = 3
CAPTURED_WORDS = 8

_CAPTURE = re.compile(r"<([a-z][a-z0-9_]{0,39})(?:(\.\.\.)|:([^<>]+))?>")
_WORD = re.compile(r"[^\W_]+\*?")


class InvalidPhrase(InvalidInput):
    """A phrase of a rule cannot be read."""

    code = "invalid_phrase"


@dataclass(frozen=True)
class Token:
    """One place of a phrase: `words` and `stems` to meet there, or between `least` and `most` words of anything."""

    words: frozenset[str] = frozenset()
    stems: tuple[str, ...] = ()
    capture: str | None = None
    least: int = 1
    most: int = 1

    @property
    def is_open(self) -> bool:
        return not self.words and not self.stems

    def meets(self, word: str) -> bool:
        return self.is_open or word in self.words or word.startswith(self.stems)


Phrase = tuple[Token, ...]


def split_words(text: str) -> list[str]:
    """The words of what was said, as matching sees them; of a very long speech, the last ones."""
    flat = re.sub(r"['’`]", "", text.casefold())
    return re.findall(r"[^\W_]+", flat)[-MAX_WORDS_HEARD:]


@lru_cache(maxsize=4096)
def compile_phrase(text: str) -> Phrase:
    """Read one phrase. Raises InvalidPhrase, which says what to change."""
    tokens = tuple(_compile_token(part) for part in text.casefold().replace("'", "").replace("’", "").split())
    if all(token.is_open for token in tokens):
        raise InvalidPhrase("needs at least one word to listen for")
    if len(tokens) > MAX_TOKENS:
        raise InvalidPhrase(f"is longer than {MAX_TOKENS} words; split it into several phrases")
    if sum(token.is_open for token in tokens) > MAX_OPEN_TOKENS:
        raise InvalidPhrase(f"has more than {MAX_OPEN_TOKENS} gaps and captures")
    if tokens[0].is_open and tokens[0].capture is None:
        raise InvalidPhrase("begins with a gap, which changes nothing; leave it out")
    return tokens


def _compile_token(part: str) -> Token:
    if part == "...":
        return Token(least=0, most=GAP_WORDS)
    capture = None
    if captured := _CAPTURE.fullmatch(part):
        capture = captured[1]
        if not captured[3]:
            return Token(capture=capture, most=CAPTURED_WORDS if captured[2] else 1)
        part = captured[3]
    choices = [re.sub(r"[.,!?;:]+$", "", choice) for choice in part.split("|")]
    for choice in choices:
        if not _WORD.fullmatch(choice):
            raise InvalidPhrase(
                f"cannot read {part!r}: write words, word|word, stem*, ..., <name>, <name:word|word> or <name...>"
            )
    return Token(
        words=frozenset(choice for choice in choices if not choice.endswith("*")),
        stems=tuple(choice[:-1] for choice in choices if choice.endswith("*")),
        capture=capture,
    )


def captured_names(text: str) -> set[str]:
    """The names that a phrase keeps words under."""
    return {token.capture for token in compile_phrase(text) if token.capture}


def match_phrase(phrase: Phrase, words: list[str]) -> dict[str, str] | None:
    """Where the phrase stands in these words: what it captured; None where it does not stand."""
    for start in range(len(words)):
        captures = _match_from(phrase, 0, words, start)
        if captures is not None:
            return captures
    return None


def _match_from(phrase: Phrase, index: int, words: list[str], at: int) -> dict[str, str] | None:
    if index == len(phrase):
        return {}
    token = phrase[index]
    if not token.is_open:
        if at >= len(words) or not token.meets(words[at]):
            return None
        rest = _match_from(phrase, index + 1, words, at + 1)
        return rest if rest is None or token.capture is None else rest | {token.capture: words[at]}
    # A capture takes as much as it can, a gap as little: "call me <when...>" wants the whole rest.
    lengths: Iterable[int] = range(token.least, min(token.most, len(words) - at) + 1)
    for length in reversed(list(lengths)) if token.capture else lengths:
        rest = _match_from(phrase, index + 1, words, at + length)
        if rest is not None:
            return rest | ({token.capture: " ".join(words[at : at + length])} if token.capture else {})
    return None


def match_any(phrases: Iterable[str], words: list[str]) -> dict[str, str] | None:
    """The captures of the first phrase that stands in these words; None if none does."""
    for phrase in phrases:
        captures = match_phrase(compile_phrase(phrase), words)
        if captures is not None:
            return captures
    return None
