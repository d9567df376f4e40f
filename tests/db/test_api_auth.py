"""Who gets in, as whom, and what it takes: API keys and user tokens, over HTTP."""

import asyncio
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

from app.accounts.api_keys import create_api_key
from app.auth.principal import ROLE_SCOPES, Role, Scope
from tests.db.api_world import Api, api_settings, assert_problem, make_token, open_api

pytestmark = pytest.mark.db

CALLS = "/api/v1/calls"


async def test_an_api_key_opens_as_bearer_and_as_x_api_key(api: Api) -> None:
    bearer = await api.key()
    key = bearer["Authorization"].removeprefix("Bearer ")
    assert (await api.client.get(CALLS, headers=bearer)).status_code == 200
    assert (await api.client.get(CALLS, headers={"X-API-Key": key})).status_code == 200
    assert key.startswith("tl_")
    assert len(key) == 43


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "tl_without_a_scheme"},
        {"Authorization": "Bearer tl_" + "x" * 40},
        {"Authorization": "Bearer nonsense"},
        {"X-API-Key": "nonsense"},
    ],
)
async def test_without_a_good_credential_the_answer_is_401(api: Api, headers: dict[str, str]) -> None:
    response = await api.client.get(CALLS, headers=headers)
    assert_problem(response, 401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_an_expired_and_a_revoked_key_are_refused_and_the_answer_says_which(api: Api) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    scopes = ROLE_SCOPES[Role.OWNER]
    _, expired = await create_api_key(api.db, api.org_id, name="k", role=Role.OWNER, scopes=scopes, expires_at=past)
    revoked_id, revoked = await create_api_key(api.db, api.org_id, name="k", role=Role.OWNER, scopes=scopes)
    async with api.db.system() as connection:
        await connection.execute("update api_keys set revoked_at = now() where id = $1", revoked_id)
    assert (
        "expired"
        in assert_problem(await api.client.get(CALLS, headers=key_header(expired)), 401, "unauthorized")["detail"]
    )
    assert (
        "revoked"
        in assert_problem(await api.client.get(CALLS, headers=key_header(revoked)), 401, "unauthorized")["detail"]
    )


def key_header(key: str) -> dict[str, str]:
    return {"X-API-Key": key}


async def test_a_key_is_stored_only_as_its_hash(api: Api) -> None:
    key_id, text = await create_api_key(api.db, api.org_id, name="k", role=Role.VIEWER, scopes=[Scope.CALLS_READ])
    async with api.db.system() as connection:
        stored = await connection.fetchval("select api_keys::text from api_keys where id = $1", key_id)
    assert text not in stored
    assert text[:9] in stored


async def test_the_use_of_a_key_is_noted_at_most_once_a_minute(api: Api) -> None:
    headers = await api.key()

    async def last_used() -> datetime | None:
        async with api.db.system() as connection:
            return await connection.fetchval("select last_used_at from api_keys")

    assert await last_used() is None
    await asyncio.gather(*(api.client.get(CALLS, headers=headers) for _ in range(8)))
    first = await last_used()
    assert first is not None
    await api.client.get(CALLS, headers=headers)
    assert await last_used() == first
    async with api.db.system() as connection:
        await connection.execute("update api_keys set last_used_at = now() - interval '61 seconds'")
    await api.client.get(CALLS, headers=headers)
    assert await last_used() > first


@pytest.mark.parametrize(
    ("role", "method", "path", "allowed"),
    [
        (Role.VIEWER, "GET", CALLS, True),
        (Role.VIEWER, "POST", CALLS, False),
        (Role.VIEWER, "GET", "/api/v1/campaigns", True),
        (Role.OPERATOR, "POST", "/api/v1/campaigns", False),
        (Role.SUPERVISOR, "POST", "/api/v1/teams", False),
        (Role.SUPERVISOR, "GET", "/api/v1/api_keys", False),
        (Role.ADMIN, "GET", "/api/v1/api_keys", True),
    ],
)
@pytest.mark.parametrize("kind", ["key", "user"])
async def test_a_role_without_the_scope_is_refused(
    api: Api, role: Role, method: str, path: str, allowed: bool, kind: str
) -> None:
    if kind == "key":
        headers = await api.key(role)
    else:
        headers = {"Authorization": f"Bearer {make_token(await api.user((api.org_id, role)))}"}
    body = {"to": "+12025550142", "team": "reception"} if path == CALLS and method == "POST" else None
    response = await api.client.request(method, path, headers=headers, json=body)
    if allowed:
        assert response.status_code == 200
    else:
        assert str(role) in assert_problem(response, 403, "forbidden")["detail"]


async def test_a_key_without_a_scope_that_its_role_would_allow_is_told_so(api: Api) -> None:
    headers = await api.key(Role.OWNER, scopes=[Scope.CAMPAIGNS_READ])
    problem = assert_problem(await api.client.get(CALLS, headers=headers), 403, "forbidden")
    assert problem["scope"] == "calls:read"
    assert "without the scope" in problem["detail"]


async def test_a_keys_scopes_never_reach_beyond_its_role(api: Api) -> None:
    headers = await api.key(Role.VIEWER, scopes=list(Scope))
    assert_problem(await api.client.get("/api/v1/api_keys", headers=headers), 403, "forbidden")


async def test_a_token_of_the_only_membership_needs_no_organization_header(api: Api) -> None:
    token = make_token(await api.user((api.org_id, Role.VIEWER)))
    assert (await api.client.get(CALLS, headers={"Authorization": f"Bearer {token}"})).status_code == 200


async def test_a_member_of_two_organizations_says_which_and_sees_only_that_one(api: Api) -> None:
    other = await api.other_organization()
    mine, theirs = await api.add_call(), await api.add_call(other)
    headers = {"Authorization": f"Bearer {make_token(await api.user((api.org_id, Role.VIEWER), (other, Role.OWNER)))}"}
    problem = assert_problem(await api.client.get(CALLS, headers=headers), 403, "forbidden")
    assert set(problem["organizations"]) == {str(api.org_id), str(other)}
    for org_id, call_id, hidden in ((api.org_id, mine, theirs), (other, theirs, mine)):
        chosen = headers | {"X-Organization-Id": str(org_id)}
        listed = (await api.client.get(CALLS, headers=chosen)).json()["data"]
        assert [call["id"] for call in listed] == [str(call_id)]
        assert (await api.client.get(f"{CALLS}/{hidden}", headers=chosen)).status_code == 404
    # The role is that of the organization chosen: a viewer there places no calls, whatever they are elsewhere.
    body = {"to": "+12025550142", "team": "reception"}
    refused = await api.client.post(CALLS, headers=headers | {"X-Organization-Id": str(api.org_id)}, json=body)
    assert_problem(refused, 403, "forbidden")


@pytest.mark.parametrize("organization", ["other", "unknown"])
async def test_an_organization_that_is_not_ones_own_is_refused(api: Api, organization: str) -> None:
    org_id = await api.other_organization() if organization == "other" else uuid4()
    token = make_token(await api.user((api.org_id, Role.OWNER)))
    for credential in ({"Authorization": f"Bearer {token}"}, await api.key()):
        response = await api.client.get(CALLS, headers=credential | {"X-Organization-Id": str(org_id)})
        assert_problem(response, 403, "forbidden")


async def test_a_user_without_an_organization_is_refused(api: Api) -> None:
    token = make_token(await api.user())
    response = await api.client.get(CALLS, headers={"Authorization": f"Bearer {token}"})
    assert_problem(response, 403, "forbidden")


async def test_claims_that_a_token_brings_along_give_no_access(api: Api) -> None:
    """A token signed by Supabase may hold claims that a user chose; only `sub` counts."""
    key_id, _ = await create_api_key(api.db, api.org_id, name="k", role=Role.OWNER, scopes=list(Scope))
    other = await api.other_organization()
    user_id = await api.user((other, Role.OWNER))
    await api.add_call()
    token = make_token(user_id, api_key_id=str(key_id), org_id=str(api.org_id), role="service_role")
    response = await api.client.get(CALLS, headers={"Authorization": f"Bearer {token}"})
    assert response.json()["data"] == []


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
