"""May this number be dialed at all? Pure; asked when contacts are imported, and again before any money is spent.

A number passes only in the one form in which it cannot be read two ways: "+" and ASCII digits. Its country must be
allowed, and ranges that cost the caller extra, satellites, ranges that no numbering plan knows, and our own numbers
are refused.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from phonenumbers import PhoneNumberType

from app.errors import TrunklineError
from app.ids import E164
from telephony.toll_gate.numbering import NO_COUNTRY, Destination, NotInAnyPlan, read_destination

REFUSED_KINDS: dict[int, str] = {
    PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
    PhoneNumberType.SHARED_COST: "a shared-cost number",
    PhoneNumberType.PERSONAL_NUMBER: "a personal number, which is forwarded at the caller's cost",
    PhoneNumberType.PAGER: "a pager",
    PhoneNumberType.VOICEMAIL: "a voicemail access number",
}
REFUSED_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\+1[2-9][0-9]{2}976[0-9]{4}"), "in a pay-per-call exchange (976)"),
    (re.compile(r"\+1[2-9][0-9]{2}5551212"), "directory assistance, which is charged"),
)
"""What costs extra inside ranges that the numbering plans call ordinary."""

_CANONICAL = re.compile(r"\+[1-9][0-9]{6,14}")


class TollGateRefused(TrunklineError):
    """This destination is not dialed; the detail says what would have to change."""

    status = 403
    code = "toll_gate_refused"
    title = "Destination not allowed"


def require_canonical(to: str) -> E164:
    """`to`, if it is E.164 to the letter. Raises TollGateRefused for everything that a carrier, a SIP stack or a person
    could read as something else: other digits than ASCII's, marks, parameters (`;ext=`), schemes, line ends."""
    if not _CANONICAL.fullmatch(to):
        raise TollGateRefused("Not a number in E.164 form: only + and 7 to 15 ASCII digits are dialed.")
    return E164(to)


@dataclass(frozen=True)
class DialingRules:
    """What an organization may dial. `allowed_countries`: ISO 3166 codes beside its own; `refused_prefixes`: "+" and
    digits; `own_numbers`: never dialed, because a call to oneself only costs; `priced_prefixes`: where a spend cap is
    set, those with a known rate; only they are dialed."""

    org_country: str
    allowed_countries: Collection[str] = ()
    own_numbers: Collection[str] = ()
    refused_prefixes: tuple[str, ...] = ()
    priced_prefixes: tuple[str, ...] | None = None

    def is_priced(self, to: E164) -> bool:
        """Whether it is known what a call there costs, or nobody asks."""
        return self.priced_prefixes is None or to.startswith(self.priced_prefixes)

    def why_not(self, to: E164) -> str | None:
        """The reason why `to` is not dialed, or None."""
        try:
            self.check(to)
        except TollGateRefused as refused:
            return refused.detail
        return None

    def check(self, to: E164) -> Destination:
        """Where `to` leads, if it may be dialed. Raises TollGateRefused."""
        require_canonical(to)
        if to in self.own_numbers:
            raise TollGateRefused("This is one of the organization's own numbers.")
        try:
            destination = read_destination(to)
        except NotInAnyPlan as error:
            raise TollGateRefused(str(error)) from error
        country = destination.country
        if country == NO_COUNTRY:
            raise TollGateRefused("The destination belongs to no country: satellites and the like are not dialed.")
        if country != self.org_country and country not in self.allowed_countries:
            raise TollGateRefused(
                f"Calls to {country} are not allowed; add it to the organization's allowed_countries.", country=country
            )
        kind = REFUSED_KINDS.get(destination.kind)
        kind = kind or next((what for pattern, what in REFUSED_PATTERNS if pattern.fullmatch(to)), None)
        if kind:
            raise TollGateRefused(f"The destination is {kind}.", country=country)
        if to.startswith(self.refused_prefixes):
            raise TollGateRefused("The destination is in a range that the organization does not dial.", country=country)
        if not self.is_priced(to):
            raise TollGateRefused(
                "No rate is known for this destination: add it to the dialing rules, or drop the spend cap.",
                country=country,
            )
        return destination


def check_destination(
    to: E164,
    *,
    from_number: E164,
    org_country: str,
    allowed_countries: Collection[str],
    own_numbers: Collection[str] = (),
) -> None:
    """Raise TollGateRefused unless `to` may be dialed from `from_number`. See DialingRules."""
    require_canonical(to)
    if to == from_number:
        raise TollGateRefused("A number cannot call itself.")
    DialingRules(org_country, allowed_countries, own_numbers).check(to)
