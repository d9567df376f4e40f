"""API keys: long random texts, of which we keep only the SHA-256.

A key has 238 bits of randomness, so a plain fast hash is enough: there is nothing to guess. Passwords would need
a slow one.
"""

import hashlib
import secrets
import string

PREFIX = "tl_"
_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 40


def new_key() -> str:
    """ "tl_" and 40 letters and digits."""
    return PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def looks_like_key(text: str) -> bool:
    return text.startswith(PREFIX)


def hash_key(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def key_prefix(key: str) -> str:
    """What a list may show, to tell keys apart."""
    return key[: len(PREFIX) + 6]
