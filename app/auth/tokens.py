"""User tokens: JWTs of Supabase Auth, checked by its public keys, or by the shared secret of the embedded default."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import jwt

from app.auth.principal import Unauthorized
from app.errors import Unavailable
from app.ids import UserId
from app.settings import Settings

AUDIENCE = "authenticated"
_ASYMMETRIC = ["ES256", "RS256", "EdDSA"]
_CLOCK_SKEW_SECONDS = 5
_JWKS_TIMEOUT_SECONDS = 5


class TokensOff(Unauthorized):
    """Neither SUPABASE_URL nor SUPABASE_JWT_SECRET is set: nobody can sign in with a token."""

    code = "tokens_off"


class KeysUnavailable(Unavailable):
    """Supabase Auth does not hand out its public keys."""

    code = "auth_unavailable"


@dataclass(frozen=True)
class UserToken:
    user_id: UserId
    expires_at: datetime


class TokenVerifier:
    """Checks user tokens. Holds the cache of Supabase's public keys; does no I/O before the first token."""

    def __init__(self, settings: Settings) -> None:
        base = settings.supabase_url.rstrip("/")
        self._issuer = f"{base}/auth/v1" if base else None
        self._secret = settings.supabase_jwt_secret.get_secret_value()
        self._jwks = (
            jwt.PyJWKClient(f"{self._issuer}/.well-known/jwks.json", timeout=_JWKS_TIMEOUT_SECONDS) if base else None
        )

    async def verify(self, token: str) -> UserToken:
        """Whose token it is. Raises Unauthorized, or KeysUnavailable while it cannot be known."""
        if self._jwks is not None:
            # A cached key costs no I/O, but a new one is a blocking request: never on the event loop.
            return await asyncio.to_thread(self._verify_by_public_key, self._jwks, token)
        if not self._secret:
            raise TokensOff("Sign-in by token is not set up here; use an API key.")
        return self._decode(token, self._secret, ["HS256"])

    def _verify_by_public_key(self, jwks: jwt.PyJWKClient, token: str) -> UserToken:
        try:
            key = jwks.get_signing_key_from_jwt(token)
        except jwt.PyJWKClientConnectionError as error:
            raise KeysUnavailable("The sign-in service does not answer; try again in a moment.") from error
        except (jwt.PyJWKClientError, jwt.PyJWKSetError, jwt.InvalidTokenError) as error:
            raise Unauthorized("This token was not signed by our sign-in service.") from error
        return self._decode(token, key, _ASYMMETRIC)

    def _decode(self, token: str, key: "jwt.PyJWK | str", algorithms: list[str]) -> UserToken:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                audience=AUDIENCE,
                issuer=self._issuer,
                leeway=_CLOCK_SKEW_SECONDS,
                options={"require": ["exp", "sub", "aud"]},
            )
            return UserToken(UserId(UUID(claims["sub"])), datetime.fromtimestamp(claims["exp"], UTC))
        except jwt.ExpiredSignatureError as error:
            raise Unauthorized("This token has expired; sign in again.") from error
        except (jwt.InvalidTokenError, ValueError, OverflowError) as error:
            raise Unauthorized("This token is not valid.") from error
