"""Secrets that we must be able to read again (a carrier's password): sealed with the installation's key.

What only has to be recognized (an API key) is hashed instead, elsewhere.
"""

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from app.errors import TrunklineError


class SealBroken(TrunklineError):
    """Sealed with another key, or damaged."""

    code = "seal_broken"
    title = "A stored secret cannot be read"


def seal(key: SecretStr, secret: str) -> bytes:
    """Encrypt and authenticate; the same secret looks different each time."""
    return _box(key).encrypt(secret.encode())


def unseal(key: SecretStr, sealed: bytes) -> str:
    """Raises SealBroken."""
    try:
        return _box(key).decrypt(bytes(sealed)).decode()
    except InvalidToken as error:
        raise SealBroken("A stored secret was sealed with another TRUNKLINE_SECRET_KEY.") from error


def _box(key: SecretStr) -> Fernet:
    derived = HKDF(hashes.SHA256(), 32, salt=None, info=b"trunkline vault").derive(key.get_secret_value().encode())
    return Fernet(base64.urlsafe_b64encode(derived))
