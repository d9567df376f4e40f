import json
from pathlib import Path

import httpx
import pytest

from app.console.client import ApiRefused, ApiUnreachable, NoApiKey, NotAnId, ask, describe_problem, find_key, read_id
from app.settings import Settings


def test_every_fault_of_a_problem_is_a_line_once() -> None:
    problem = {
        "detail": "The team file has 2 faults:\n  slug: field required",
        "errors": [{"path": "slug", "message": "field required"}, {"path": "entry", "message": "no such agent"}],
    }
    assert describe_problem(422, json.dumps(problem)).splitlines() == [
        "The team file has 2 faults:",
        "  slug: field required",
        "  entry: no such agent",
    ]


def test_an_answer_that_is_no_problem_document_is_told_all_the_same() -> None:
    assert describe_problem(502, "<html>bad gateway") == "The api answered 502: <html>bad gateway"
    assert describe_problem(500, "[]") == "The api answered 500: []"


def test_a_key_of_ones_own_comes_before_the_examples(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text('{"api_key": "tl_example"}')
    assert find_key(Settings(home=tmp_path)) == "tl_example"
    assert find_key(Settings(home=tmp_path, api_key="tl_own")) == "tl_own"  # type: ignore[arg-type]


def test_without_any_key_the_mend_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoApiKey, match="trunkline up"):
        find_key(Settings(home=tmp_path))


async def test_an_api_that_is_not_there_is_one_clear_error() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async with httpx.AsyncClient(base_url="http://127.0.0.1:1", transport=httpx.MockTransport(refuse)) as client:
        with pytest.raises(ApiUnreachable, match="trunkline status"):
            await ask(client, "GET", "/calls")


async def test_an_answer_that_is_no_json_or_leads_elsewhere_is_one_clear_error() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(307) if request.url.path == "/moved" else httpx.Response(200, text="line,phone")

    async with httpx.AsyncClient(base_url="http://127.0.0.1:1", transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(ApiRefused, match="307: nothing is at that address"):
            await ask(client, "GET", "/moved")
        with pytest.raises(ApiRefused, match="is no JSON"):
            await ask(client, "GET", "/results")


@pytest.mark.parametrize("text", ["", "..", "../teams", "0199f2a4-6f0e-7c60-9d0b-000000000020/results", "a"])
def test_what_is_no_id_becomes_no_address(text: str) -> None:
    with pytest.raises(NotAnId, match="an id looks like"):
        read_id(text)
    assert read_id("0199f2a4-6f0e-7c60-9d0b-000000000020") == "0199f2a4-6f0e-7c60-9d0b-000000000020"
