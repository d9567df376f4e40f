"""The hours that hold where nobody says otherwise: those of the callee's country and, in the US, of their state.

Each with its source; docs/calling-hours.md tells more. They are what the strictest rule for sales calls by machine
asks for, as far as we read: a beginning, and no legal advice.
"""

from dataclasses import dataclass

from campaigns.rules.calling.places import Place
from campaigns.rules.calling.weeks import Week, read_week


@dataclass(frozen=True)
class Default:
    """`week`: when calls are allowed. `holidays`: whether public holidays are closed. `per_day`: calls of one number
    in any 24 hours at the most."""

    name: str
    week: Week
    source: str
    holidays: bool = False
    per_day: int | None = None


def find_defaults(place: Place) -> tuple[Default, ...]:
    """All that hold at once: the country's, and the state's if it has its own."""
    country = COUNTRIES.get(place.country or "", ELSEWHERE)
    state = US_STATES.get(place.state or "")
    return (country, state) if state else (country,)


def _default(
    name: str, hours: dict[str, str | list[str]], source: str, *, holidays: bool = False, per_day: int | None = None
) -> Default:
    return Default(name, read_week(hours), source, holidays, per_day)


ELSEWHERE = _default("elsewhere", {"mon-sat": "09:00-20:00"}, "our own caution", holidays=True)

COUNTRIES = {
    one.name: one
    for one in (
        _default("US", {"daily": "08:00-21:00"}, "16 CFR 310.4(c), 47 CFR 64.1200(c)(1)"),
        _default(
            "CA",
            {"mon-fri": "09:00-21:30", "sat-sun": "10:00-18:00"},
            "CRTC Unsolicited Telecommunications Rules, part III section 23, part IV section 4",
        ),
    )
}

US_STATES = {
    one.name: one
    for one in (
        _default("FL", {"daily": "08:00-20:00"}, "Fla. Stat. 501.616(6)", per_day=3),
        _default("TX", {"mon-sat": "09:00-21:00", "sun": "12:00-21:00"}, "Tex. Bus. & Com. Code 301.051"),
    )
}
