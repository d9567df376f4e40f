"""The token that lets one carrier call open one media websocket: signed, short-lived, for nothing else."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import jwt

from app.errors import TrunklineError
from app.ids import CallId
from app.settings import Settings

AUDIENCE = "media"
ALGORITHM = "HS256"
LIFETIME = timedelta(seconds=60)


class InvalidStreamToken(TrunklineError):
    """Not ours, not for media, too old, or for another call."""

    status = 403
    code = "invalid_stream_token"
    title = "Invalid stream token"


@dataclass(frozen=True)
class StreamGrant:
    """Which of our calls the stream is, and which of the carrier's it must be."""

    call_id: CallId
    carrier_call_id: str


def sign_stream_token(settings: Settings, grant: StreamGrant, *, now: datetime) -> str:
    """Raises InvalidStreamToken where no secret key is set: nothing that everybody can sign is ever given out."""
    claims = {
        "aud": AUDIENCE,
        "sub": str(grant.call_id),
        "carrier_call_id": grant.carrier_call_id,
        "iat": now,
        "exp": now + LIFETIME,
    }
    try:
        return jwt.encode(claims, settings.secret_key.get_secret_value(), algorithm=ALGORITHM)
    except jwt.PyJWTError as error:
        raise InvalidStreamToken("No stream token can be signed: set TRUNKLINE_SECRET_KEY.") from error


def verify_stream_token(settings: Settings, token: str, *, carrier_call_id: str) -> StreamGrant:
    """Read the token of a stream that says it is `carrier_call_id`. Raises InvalidStreamToken."""
    try:
        claims = jwt.decode(
            token,
            settings.secret_key.get_secret_value(),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            options={"require": ["exp", "aud", "sub"]},
        )
        grant = StreamGrant(CallId(UUID(claims["sub"])), str(claims["carrier_call_id"]))
    except (jwt.PyJWTError, ValueError, KeyError) as error:
        raise InvalidStreamToken("The stream's token is not valid.") from error
    if not carrier_call_id or grant.carrier_call_id != carrier_call_id:
        raise InvalidStreamToken("The stream's token is for another call.")
    return grant
