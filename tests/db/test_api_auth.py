"""Who gets in, as whom, and what it takes: API keys and user tokens, over HTTP."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from app.accounts.api_keys import create_api_key
from app.auth.principal import ROLE_SCOPES, Role, Scope
from tests.db.api_world import Api, assert_problem, make_token

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
