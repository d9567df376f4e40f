"""May this number be dialed at all? Pure; asked when contacts are imported, and again before any money is spent.

Thin on purpose: the destination's country must be allowed, and kinds of numbers that cost the caller extra, satellites
and our own numbers are refused. Budgets and velocity belong here too, once they exist.
"""

from collections.abc import Collection
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberType

from app.errors import TrunklineError
from app.ids import E164

REFUSED_KINDS: dict[int, str] = {
    PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
    PhoneNumberType.SHARED_COST: "a shared-cost number",
}
NO_COUNTRY = "001"
"""What phonenumbers calls the region of codes that belong to no country: satellites (+870, +881 …) and the like."""


class TollGateRefused(TrunklineError):
    """This destination is not dialed; the detail says what would have to change."""

    status = 403
    code = "toll_gate_refused"
    title = "Destination not allowed"


@dataclass(frozen=True)
class DialingRules:
    """What an organization may dial. `allowed_countries`: ISO 3166 codes beside its own, from its settings."""

    org_country: str
    allowed_countries: Collection[str] = ()
    own_numbers: Collection[str] = ()

    def why_not(self, to: E164) -> str | None:
        """The reason why `to` is not dialed, or None."""
        try:
            self.check(to)
        except TollGateRefused as refused:
            return refused.detail
        return None

    def check(self, to: E164) -> None:
        """Raises TollGateRefused."""
        if to in self.own_numbers:
            raise TollGateRefused("This is one of the organization's own numbers.")
        number = phonenumbers.parse(to)
        country = phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(
            number.country_code or 0
        )
        if country == NO_COUNTRY:
            raise TollGateRefused("The destination belongs to no country: satellites and the like are not dialed.")
        if country != self.org_country and country not in self.allowed_countries:
            raise TollGateRefused(
                f"Calls to {country} are not allowed; add it to the organization's allowed_countries.", country=country
            )
        kind = REFUSED_KINDS.get(phonenumbers.number_type(number))
        if kind:
            raise TollGateRefused(f"The destination is {kind}.", country=country)


def check_destination(
    to: E164,
    *,
    from_number: E164,
    org_country: str,
    allowed_countries: Collection[str],
    own_numbers: Collection[str] = (),
) -> None:
    """Raise TollGateRefused unless `to` may be dialed from `from_number`. See DialingRules."""
    if to == from_number:
        raise TollGateRefused("A number cannot call itself.")
    DialingRules(org_country, allowed_countries, own_numbers).check(to)
