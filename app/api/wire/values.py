"""Values of requests that need a look before anything is done with them."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, StringConstraints

from telephony.toll_gate.policy import Country

EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
"""In between every time zone can tell the instant, and so can Postgres."""


def _within_reach(at: datetime) -> datetime:
    if not EARLIEST <= at < LATEST:
        raise ValueError("must lie between the years 1900 and 3000")
    return at


def _upper(code: object) -> object:
    return code.upper() if isinstance(code, str) else code


Instant = Annotated[AwareDatetime, AfterValidator(_within_reach)]
Region = Annotated[Country, BeforeValidator(_upper)]
"""ISO 3166, of a country with telephone numbers; small letters will do."""
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""What something is called: never blank."""
