"""May this number be dialed at all? Pure, and asked before any money is spent.

Thin on purpose: the destination's country must be allowed, and kinds of numbers that cost the caller extra are
refused. Budgets and velocity belong here too, once they exist.
"""

from collections.abc import Collection

import phonenumbers
from phonenumbers import PhoneNumberType

from app.errors import TrunklineError
from app.ids import E164

REFUSED_KINDS: dict[int, str] = {
    PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
    PhoneNumberType.SHARED_COST: "a shared-cost number",
}


class TollGateRefused(TrunklineError):
    """This destination is not dialed; the detail says what would have to change."""

    status = 403
    code = "toll_gate_refused"
    title = "Destination not allowed"


def check_destination(to: E164, *, from_number: E164, org_country: str, allowed_countries: Collection[str]) -> None:
    """Raise TollGateRefused unless `to` may be dialed from `from_number`.

    `allowed_countries`: ISO 3166 codes beside the organization's own, from its settings.
    """
    if to == from_number:
        raise TollGateRefused("A number cannot call itself.")
    number = phonenumbers.parse(to)
    country = phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(
        number.country_code or 0
    )
    if country != org_country and country not in allowed_countries:
        raise TollGateRefused(
            f"Calls to {country} are not allowed; add it to the organization's allowed_countries.", country=country
        )
    kind = REFUSED_KINDS.get(phonenumbers.number_type(number))
    if kind:
        raise TollGateRefused(f"The destination is {kind}.", country=country)
