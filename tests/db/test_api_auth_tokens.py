"""User tokens: the good ones, and every kind of bad one."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from app.auth.principal import Role
from tests.db.api_world import Api, api_settings, assert_problem, make_token, open_api

pytestmark = pytest.mark.db

CALLS = "/api/v1/calls"


def unsigned(user_id: UUID) -> str:
    return jwt.encode(
        {"sub": str(user_id), "aud": "authenticated", "exp": datetime.now(UTC) + timedelta(hours=1)},
        None,  # type: ignore[arg-type]
        algorithm="none",
    )


FORGERIES = {
    "another secret": lambda user: make_token(user, secret="another-secret-that-is-long-enough-too"),
    "alg none": unsigned,
    "another hash": lambda user: make_token(user, algorithm="HS512", secret="x" * 64),
    "wrong audience": lambda user: make_token(user, aud="anon"),
    "no audience": lambda user: make_token(user, aud=None),
    "expired": lambda user: make_token(user, exp=datetime.now(UTC) - timedelta(seconds=30)),
    "no expiry": lambda user: make_token(user, exp=None),
    "not yet": lambda user: make_token(user, nbf=datetime.now(UTC) + timedelta(minutes=5)),
    "no subject": lambda user: make_token(user, sub=None),
    "subject not a user id": lambda user: make_token(user, sub="admin"),
    "truncated": lambda user: make_token(user)[:-4],
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_bad_token_is_refused(api: Api, forgery: str) -> None:
    token = FORGERIES[forgery](await api.user((api.org_id, Role.OWNER)))
    response = await api.client.get(CALLS, headers={"Authorization": f"Bearer {token}"})
    assert_problem(response, 401, "unauthorized")


class Supabase:
    """Serves a JWKS as Supabase Auth does, and counts how often it was asked."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.asked = 0
        self.url = ""

    def sign(self, user_id: UUID, **changes: Any) -> str:
        claims = {
            "sub": str(user_id),
            "aud": "authenticated",
            "iss": f"{self.url}/auth/v1",
            "exp": datetime.now(UTC) + timedelta(hours=1),
        } | changes
        return jwt.encode(claims, self.key, "ES256", headers={"kid": "one"})

    def jwks(self) -> bytes:
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        return json.dumps({"keys": [public | {"kid": "one", "alg": "ES256", "use": "sig"}]}).encode()


@contextmanager
def serve_jwks() -> Iterator[Supabase]:
    supabase = Supabase()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            supabase.asked += 1
            found = self.path == "/auth/v1/.well-known/jwks.json"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(supabase.jwks() if found else b"")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    supabase.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield supabase
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_token_is_checked_by_supabases_public_key_fetched_once(database_url: str, tmp_path: Path) -> None:
    with serve_jwks() as supabase:
        async with open_api(api_settings(database_url, tmp_path, supabase_url=supabase.url)) as api:
            user_id = await api.user((api.org_id, Role.OWNER))
            good = {"Authorization": f"Bearer {supabase.sign(user_id)}"}
            for _ in range(3):
                assert (await api.client.get(CALLS, headers=good)).status_code == 200
            assert supabase.asked == 1
            for token in (
                supabase.sign(user_id, iss="https://elsewhere.example/auth/v1"),
                supabase.sign(user_id, aud="anon"),
                # With public keys in use, whoever knows the old shared secret gets nowhere.
                make_token(user_id),
                # The classic confusion: the public key taken for an HMAC secret.
                jwt.encode(
                    {"sub": str(user_id), "aud": "authenticated", "exp": datetime.now(UTC) + timedelta(hours=1)},
                    supabase.jwks().hex(),
                    "HS256",
                    headers={"kid": "one"},
                ),
            ):
                response = await api.client.get(CALLS, headers={"Authorization": f"Bearer {token}"})
                assert_problem(response, 401, "unauthorized")


async def test_while_the_sign_in_service_is_down_a_token_gets_503_and_a_key_works(
    database_url: str, tmp_path: Path
) -> None:
    async with open_api(api_settings(database_url, tmp_path, supabase_url="http://127.0.0.1:9")) as api:
        key = ec.generate_private_key(ec.SECP256R1())
        token = jwt.encode({"sub": str(uuid4())}, key, "ES256", headers={"kid": "one"})
        response = await api.client.get(CALLS, headers={"Authorization": f"Bearer {token}"})
        assert_problem(response, 503, "auth_unavailable")
        assert response.headers["retry-after"]
        assert (await api.client.get(CALLS, headers=await api.key())).status_code == 200


async def test_without_any_secret_tokens_are_off(database_url: str, tmp_path: Path) -> None:
    async with open_api(api_settings(database_url, tmp_path, supabase_jwt_secret=SecretStr(""))) as api:
        token = make_token(await api.user((api.org_id, Role.OWNER)))
        response = await api.client.get(CALLS, headers={"Authorization": f"Bearer {token}"})
        assert_problem(response, 401, "tokens_off")
