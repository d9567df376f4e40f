"""What somebody hears whom nobody greeted in time. Pure."""

import re

import phonenumbers

CONNECT_SECONDS = 2.0
"""How long after the callee's greeting somebody must be there (FTC, 16 CFR 310.4(b)(4))."""

ABANDON_MESSAGE = (
    "Hello, this was {organization}. We are sorry that nobody is free to speak with you. "
    "You can reach us at {from_number}, also to be called no more. Goodbye."
)


def fill_message(text: str, *, organization: str, from_number: str | None) -> str:
    """`{organization}` and `{from_number}` in the text; other braces stay as they are."""
    spoken = {"organization": organization, "from_number": speak_number(from_number or "")}
    return re.sub(r"\{(organization|from_number)\}", lambda name: spoken[name[1]], text)


def speak_number(number: str) -> str:
    """Digit by digit in its usual groups, as voices read it well: "1, 2 0 2, 5 5 5, 0 1 0 1"."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    return ", ".join(" ".join(group) for group in re.findall(r"\d+", written))
