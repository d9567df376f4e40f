"""Teams, numbers and campaigns come in pages, each row once, the newest first."""

import pytest

from app.ids import new_id
from tests.db.api_world import Api, assert_problem

pytestmark = pytest.mark.db

LISTS = ["teams", "numbers", "campaigns"]


async def fill(api: Api) -> None:
    """Four more teams, numbers and campaigns; two of each of the same instant."""
    async with api.db.system() as connection:
        team, number = await connection.fetchrow("select t.id, n.id from teams t, numbers n limit 1") or (None, None)
        for n in range(4):
            await connection.execute(
                "insert into teams (id, org_id, slug, name, created_at)"
                " values ($1, $2, $3, 'T', now() - $4 * interval '1 day')",
                *(new_id(), api.org_id, f"team-{n}", n // 2),
            )
            await connection.execute(
                "insert into numbers (id, org_id, e164, carrier, created_at)"
                " values ($1, $2, $3, 'twilio', now() - $4 * interval '1 day')",
                *(new_id(), api.org_id, f"+1202555017{n}", n // 2),
            )
            await connection.execute(
                "insert into campaigns (id, org_id, name, team_id, from_number_id, max_concurrent, calls_per_second,"
                " retry, created_at) values ($1, $2, 'C', $3, $4, 1, 1, $5, now() - $6 * interval '1 day')",
                *(new_id(), api.org_id, team, number, {"max_attempts": 1}, n // 2),
            )


@pytest.mark.parametrize("name", LISTS)
async def test_pages_hold_every_row_once_and_the_newest_first(api: Api, name: str) -> None:
    await fill(api)
    headers = await api.key()
    whole = (await api.client.get(f"/api/v1/{name}", headers=headers)).json()
    assert whole["next_cursor"] is None
    assert len(whole["data"]) >= 4
    instants = [row["created_at"] for row in whole["data"]]
    assert instants == sorted(instants, reverse=True)
    seen: list[object] = []
    query: dict[str, object] = {"limit": 1}
    while True:
        page = (await api.client.get(f"/api/v1/{name}", headers=headers, params=query)).json()  # type: ignore[arg-type]
        assert len(page["data"]) == 1
        seen += page["data"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == whole["data"]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=nonsense"])
async def test_a_limit_or_cursor_that_cannot_be_is_a_problem(api: Api, name: str, query: str) -> None:
    assert_problem(await api.client.get(f"/api/v1/{name}?{query}", headers=await api.key()), 422, "invalid_input")
