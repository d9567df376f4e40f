"""Destinations that a toll gate must stop, and ordinary ones between them: generated, the same for the same seed."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.prove.destinations.allow_list import (
    CANADA,
    ISLANDS,
    OWN_NUMBER,
    REFUSED_PREFIX,
    TERRITORIES,
    US_AREAS,
)


@dataclass(frozen=True)
class Hostile:
    """One destination as somebody writes it. `ordinary`: nothing is wrong with it, and it must be dialed."""

    kind: str
    text: str
    ordinary: bool = False


def ordinary(rng: random.Random) -> str:
    """A fictional number of the US or of London."""
    if rng.random() < 0.2:
        return f"+442079460{rng.randrange(1000):03d}"
    number = OWN_NUMBER
    while number == OWN_NUMBER:
        number = f"+1{rng.choice(US_AREAS)}555{rng.randrange(100, 200):04d}"
    return number


def _line(rng: random.Random, digits: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(digits))


def premium(rng: random.Random) -> str:
    prefix, digits = rng.choice(
        [("+1900555", 4), ("+44909879", 4), ("+44871", 7), ("+44843", 7), ("+49900", 7), ("+3389", 7), ("+61190", 7)]
    )
    return prefix + _line(rng, digits)


def satellite(rng: random.Random) -> str:
    code = rng.choice(["870", "878", "8810", "8812", "8816", "8818", "88213", "88216", "88298", "883120", "979", "808"])
    return f"+{code}{_line(rng, rng.choice([6, 7, 8, 9]))}"


def lookalike_country(rng: random.Random) -> str:
    """Reads like a call within the country, and is one abroad."""
    if rng.random() < 0.3:
        island = rng.choice(["1481", "1534", "1624", "7781", "7797", "7624", "79111", "79117", "7937"])
        return f"+44{island}{_line(rng, 10 - len(island))}"
    return f"+1{rng.choice(CANADA + ISLANDS + TERRITORIES)}555{_line(rng, 4)}"


def personal_or_pager(rng: random.Random) -> str:
    prefix, digits = rng.choice([("+4470", 8), ("+4476", 8), ("+1500555", 4), ("+1533555", 4), ("+1700555", 4)])
    return prefix + _line(rng, digits)


ABROAD = (7, 20, 27, 30, 33, 34, 39, 49, 53, 61, 81, 86, 91, 212, 220, 224, 232, 252, 371, 372, 375, 381, 960, 994)


def abroad(rng: random.Random) -> str:
    code = rng.choice(ABROAD)
    return f"+{code}{rng.randrange(1, 10)}{_line(rng, rng.choice([7, 8, 9]))}"


def charged_exchange(rng: random.Random) -> str:
    end = f"976{_line(rng, 4)}" if rng.random() < 0.7 else "5551212"
    return f"+1{rng.choice(US_AREAS)}{end}"


def _base(rng: random.Random) -> str:
    """What a trick is played with: an ordinary number, or one that is dear."""
    return rng.choice([ordinary, premium, lookalike_country, satellite])(rng)


TAILS = [";ext=5", ";phone-context=+1900", ";isub=1", ",,9005550100", "p900", "w900", "x12", " ext. 5", "#", "*31#"]
TAILS += [
    "?X-Evil=1",
    "@sip.example.com",
    "@sip.example.com:5060;transport=tcp",
    "%3Bext%3D5",
    "/0",
    "&To=+19005550100",
]
SCHEMES = ["tel:", "sip:", "sips:", "callto:", "TEL:", "tel://", "//", "urn:", "client:", "sim:", "javascript:"]
INJECTIONS = [
    "\r\nX-Evil: 1",
    "\n",
    "\r",
    "\r\n\r\nINVITE",
    "%0d%0aX: 1",
    "\0",
    "\x0b",
    "\u2028",
    "\x85",
    "\n+19005550100",
]
INVISIBLE = ["\u200b", "\u200d", "\u00ad", "\u202e", "\u2066", "\ufeff", "\u2060", "\u180e", "\u034f", "\0"]
ZEROS = [0x0660, 0x06F0, 0x0966, 0x09E6, 0x0E50, 0xFF10, 0x1D7CE, 0x1D7F6, 0x104A0, 0x11066]
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
LETTERS = {"0": "OoΟОߋ", "1": "lI|Ӏ", "2": "Z", "5": "S", "8": "B"}


def with_tail(rng: random.Random) -> str:
    return _base(rng) + rng.choice(TAILS)


def with_scheme(rng: random.Random) -> str:
    return rng.choice(SCHEMES) + _base(rng) + rng.choice(["", "", "@sip.example.com", ";user=phone"])


def with_injection(rng: random.Random) -> str:
    base, evil = _base(rng), rng.choice(INJECTIONS)
    place = rng.choice([0, len(base), rng.randrange(len(base))])
    return base[:place] + evil + base[place:]


def with_invisible(rng: random.Random) -> str:
    base = _base(rng)
    place = rng.randrange(len(base) + 1)
    return base[:place] + rng.choice(INVISIBLE) + base[place:]


def in_other_digits(rng: random.Random) -> str:
    base, zero = _base(rng), rng.choice(ZEROS)
    share = rng.choice([0.15, 1.0])
    written = "".join(
        (rng.choice([chr(zero + int(c)), SUPERSCRIPTS[int(c)]]) if rng.random() < 0.1 else chr(zero + int(c)))
        if c.isdigit() and rng.random() < share
        else c
        for c in base
    )
    return written if rng.random() < 0.7 else written.replace("+", "\uff0b")


def in_letters(rng: random.Random) -> str:
    base = _base(rng)
    places = [i for i, c in enumerate(base) if c in LETTERS]
    if not places:
        return base + "O"
    at = rng.choice(places)
    return base[:at] + rng.choice(LETTERS[base[at]]) + base[at + 1 :]


def in_another_form(rng: random.Random) -> str:
    base = _base(rng)
    forms: list[Callable[[str], str]] = [
        lambda n: "00" + n[1:],
        lambda n: "011" + n[1:],
        lambda n: "+" + n,
        lambda n: "+0" + n[1:],
        lambda n: "+00" + n[1:],
        lambda n: n[:3] + "0" + n[3:],
        lambda n: n[:2] + "1" + n[2:],
        lambda n: n + " ",
        lambda n: " " + n,
        lambda n: "-".join(n),
        lambda n: n[:4] + "(0)" + n[4:],
        lambda n: "1010288" + n,
        lambda n: "*67" + n,
        lambda n: n + "," + OWN_NUMBER,
    ]
    return rng.choice(forms)(base)


def of_wrong_length(rng: random.Random) -> str:
    base = _base(rng)
    return rng.choice([base + _line(rng, rng.randrange(1, 40)), base[: rng.randrange(1, 8)], "+", "", "+1" * 400])


def short(rng: random.Random) -> str:
    return rng.choice(["911", "+1911", "+911", "112", "+44112", "+44999", "999", "411", "+1411", "11833", "0", "+1211"])


def unassigned(rng: random.Random) -> str:
    area = rng.choice(["000", "111", "199", "555", "211", "911", "370", "960", "290"])
    return rng.choice(
        [f"+1{area}555{_line(rng, 4)}", f"+999{_line(rng, 8)}", f"+1202{rng.choice('01')}55{_line(rng, 4)}"]
    )


def refused_by_rule(rng: random.Random) -> str:
    return f"{REFUSED_PREFIX}555{_line(rng, 4)}"


KINDS: dict[str, Callable[[random.Random], str]] = {
    "premium": premium,
    "satellite": satellite,
    "look-alike country": lookalike_country,
    "personal or pager": personal_or_pager,
    "abroad": abroad,
    "charged exchange": charged_exchange,
    ";ext= and other tails": with_tail,
    "tel: and other schemes": with_scheme,
    "header injection": with_injection,
    "invisible characters": with_invisible,
    "unicode digits": in_other_digits,
    "look-alike letters": in_letters,
    "other forms": in_another_form,
    "wrong length": of_wrong_length,
    "short and emergency": short,
    "unassigned": unassigned,
    "refused by a rule": refused_by_rule,
    "our own number": lambda _: OWN_NUMBER,
}


def destinations(count: int, *, seed: int) -> Iterator[Hostile]:
    """So many of them, every kind in turn, one in twenty ordinary; the same ones for the same seed."""
    rng = random.Random(seed)
    names = list(KINDS)
    for n in range(count):
        if n % 20 == 0:
            yield Hostile("ordinary", ordinary(rng), ordinary=True)
        else:
            kind = names[n % len(names)]
            yield Hostile(kind, KINDS[kind](rng))
