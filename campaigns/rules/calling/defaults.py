"""The hours that hold where nobody says otherwise: those of the callee's country and, in the US, of their state.

Each with its source; docs/calling-hours.md tells how each was read. They are what the strictest rule that we know of
asks of sales calls and of calls by machine: a careful beginning, and no legal advice.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from campaigns.rules.calling.places import Place
from campaigns.rules.calling.weeks import Week, read_week


@dataclass(frozen=True)
class Default:
    """`week`: when calls are allowed. `holidays`: whether public holidays are closed. `per_day`, `per_week`: calls of
    one number in any 24 hours and any 7 days at the most."""

    name: str
    week: Week
    source: str
    holidays: bool = False
    per_day: int | None = None
    per_week: int | None = None


def find_defaults(place: Place) -> tuple[Default, ...]:
    """All that hold at once: the country's, and the state's if it has its own."""
    country = COUNTRIES.get(place.country or "", ELSEWHERE)
    state = US_STATES.get(place.state or "")
    return (country, state) if state else (country,)


def _default(
    name: str,
    source: str,
    hours: Mapping[str, str | list[str]],
    *,
    holidays: bool = False,
    per_day: int | None = None,
    per_week: int | None = None,
) -> Default:
    return Default(name, read_week(hours), source, holidays, per_day, per_week)


_DAYLIGHT = {"daily": "08:00-20:00"}
_FROM_NINE = {"daily": "09:00-21:00"}
_NO_SUNDAY = {"mon-sat": "08:00-20:00"}

ELSEWHERE = _default("elsewhere", "our own caution", {"mon-sat": "09:00-20:00"}, holidays=True)

COUNTRIES = {
    one.name: one
    for one in (
        _default("AE", "Cabinet Resolution 56 of 2024", {"daily": "09:00-18:00"}, per_day=1, per_week=2),
        _default(
            "AU",
            "Telemarketing and Research Calls Industry Standard 2017",
            {"mon-fri": "09:00-20:00", "sat": "09:00-17:00"},
            holidays=True,
        ),
        _default(
            "BR",
            "self-regulation that Anatel points to",
            {"mon-fri": "09:00-21:00", "sat": "10:00-16:00"},
            holidays=True,
        ),
        _default(
            "CA",
            "CRTC Unsolicited Telecommunications Rules, parts III and IV",
            {"mon-fri": "09:00-21:30", "sat-sun": "10:00-18:00"},
        ),
        _default(
            "CO",
            "Ley 2300 de 2023, art. 3",
            {"mon-fri": "07:00-19:00", "sat": "08:00-15:00"},
            holidays=True,
            per_day=1,
        ),
        _default("ES", "Real Decreto Legislativo 1/2007, art. 96.2", {"mon-fri": "09:00-21:00"}, holidays=True),
        _default("FR", "Décret 2022-1313", {"mon-fri": ["10:00-13:00", "14:00-20:00"]}, holidays=True),
        _default("GB", "DMA telemarketing guide", {"mon-fri": "08:00-21:00", "sat": "09:00-21:00"}, holidays=True),
        _default("IN", "TRAI, TCCCPR 2010 and 2018", {"daily": "09:00-21:00"}),
        _default(
            "IT",
            "Codice di condotta telemarketing, 2024",
            {"mon-fri": "09:00-20:00", "sat": "10:00-19:00"},
            holidays=True,
        ),
        _default("KR", "Network Act, art. 50(3)", {"daily": "08:00-21:00"}),
        _default("US", "16 CFR 310.4(c), 47 CFR 64.1200(c)(1)", {"daily": "08:00-21:00"}),
        _default(
            "ZA",
            "Consumer Protection Act regulations 2011, reg. 4",
            {"mon-fri": "08:00-20:00", "sat": "09:00-13:00"},
            holidays=True,
        ),
    )
}

US_STATES = {
    one.name: one
    for one in (
        _default("AL", "Ala. Admin. Code 770-X-5-.17(1)(b)", _NO_SUNDAY, holidays=True),
        _default("CA", "Cal. Pub. Util. Code 2872(c)", _FROM_NINE),
        _default("CT", "Conn. Gen. Stat. 42-288a, Public Act 23-98", {"daily": "09:00-20:00"}),
        _default("FL", "Fla. Stat. 501.616(6)", _DAYLIGHT, per_day=3),
        _default("IL", "815 ILCS 305/15, 815 ILCS 413/15", _FROM_NINE),
        _default("IN", "Ind. Code 24-5-14-8", {"daily": "09:00-20:00"}),
        _default("KY", "KRS 367.46955(16)", {"daily": "10:00-21:00"}),
        _default("LA", "LPSC General Order R-29617, V(A)", _NO_SUNDAY, holidays=True),
        _default("MA", "M.G.L. c. 159C s. 3, 201 CMR 12.02(2)", _DAYLIGHT),
        _default("MD", "Md. Code, Com. Law 14-4502, Stop the Spam Calls Act of 2023", _DAYLIGHT, per_day=3),
        _default("ME", "10 M.R.S. 1498(3)", {"mon-fri": "09:00-17:00"}, per_day=1),
        _default("MI", "MCL 445.111 ff.", _FROM_NINE),
        _default("MN", "Minn. Stat. 325E.30", _FROM_NINE),
        _default("MS", "Miss. Code 77-3-603, 77-3-723", _NO_SUNDAY, holidays=True),
        _default(
            "NE",
            "Neb. Rev. Stat. 86-248, 291 Neb. Admin. Code 11-003",
            {"mon-sat": "08:00-21:00", "sun": "13:00-21:00"},
        ),
        _default("NM", "N.M. Stat. 57-12-22(B)(5)", _FROM_NINE),
        _default("NV", "NRS 597.814, NRS 598.0918", {"daily": "09:00-20:00"}),
        _default("OK", "15 O.S. 775C.4", _DAYLIGHT, per_day=3),
        _default("OR", "ORS 646.563, HB 3865 of 2025", _DAYLIGHT, per_day=3),
        _default("PA", "73 P.S. 2245(a), Act 73 of 2019", {"daily": "08:00-21:00"}, holidays=True),
        _default(
            "RI", "R.I. Gen. Laws 5-61-2, 5-61-3.6", {"mon-fri": "09:00-18:00", "sat": "10:00-17:00"}, holidays=True
        ),
        _default("SD", "SDCL 37-30-28", {"mon-fri": "09:00-21:00"}),
        _default("TX", "Tex. Bus. & Com. Code 301.051", {"mon-sat": "09:00-21:00", "sun": "12:00-21:00"}),
        _default("UT", "Utah Code 13-25a-103(3)", {"mon-sat": "08:00-21:00"}, holidays=True),
        _default("WA", "RCW 80.36.390, RCW 19.158.040", _DAYLIGHT),
        _default("WY", "Wyo. Stat. 40-12-302(d)", _DAYLIGHT),
    )
}
