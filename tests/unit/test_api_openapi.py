"""The documentation of the api tells the truth: every model has examples, and they are valid."""

import importlib
import pkgutil
from typing import Any

import pytest
from pydantic import BaseModel

import app.api
from app.api.campaigns.shapes import NewCampaign
from app.api.teams import NewTeam
from app.main import create_app
from app.settings import Settings


def models() -> list[type[BaseModel]]:
    """Every pydantic model that a module of the api defines, but for the generic page."""
    found: set[type[BaseModel]] = set()
    for module_info in pkgutil.walk_packages(app.api.__path__, "app.api."):
        module = importlib.import_module(module_info.name)
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == module.__name__:
                found.add(value)
    return sorted((model for model in found if not model.__name__.startswith("Page")), key=lambda model: model.__name__)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings.model_construct()).openapi()


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_model_has_examples_and_they_are_valid(model: type[BaseModel]) -> None:
    extra: Any = model.model_config.get("json_schema_extra")
    assert isinstance(extra, dict)
    assert extra["examples"]
    for example in extra["examples"]:
        parsed = model.model_validate(example)
        # Written out again it is the same: nothing in the example is ignored, renamed or missing.
        assert parsed.model_dump(mode="json", by_alias=True, exclude_unset=True).keys() == example.keys()
        if not model.__name__.startswith("New"):
            assert parsed.model_dump(mode="json", by_alias=True).keys() == example.keys()


def test_every_schema_of_an_object_in_the_document_has_examples(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    bare = [
        name
        for name, schema in schemas.items()
        if schema.get("type") == "object" and not name.startswith("Page_") and not schema.get("examples")
    ]
    assert bare == []
    assert "HTTPValidationError" not in schemas


def test_every_error_is_documented_as_a_problem_and_only_as_one(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                if int(status) >= 400 and not path.startswith("/readyz"):
                    assert list(response["content"]) == ["application/problem+json"], (path, method, status)


def test_every_operation_under_api_v1_asks_for_a_credential_and_has_a_summary(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"]
            assert bool(operation.get("security")) == path.startswith("/api/v1/"), path


def test_bodies_read_by_hand_are_documented_with_examples_that_fit(document: dict[str, Any]) -> None:
    form = document["paths"]["/api/v1/campaigns"]["post"]["requestBody"]["content"]["multipart/form-data"]
    example = dict(form["example"])
    assert example.pop("file").startswith("phone,")
    NewCampaign.model_validate(example)
    assert set(form["schema"]["properties"]) == {"file", *NewCampaign.model_fields}
    team = document["paths"]["/api/v1/teams"]["post"]["requestBody"]["content"]
    NewTeam.model_validate(team["application/json"]["example"])
    assert "slug: harbor-dental" in team["text/yaml"]["example"]


def test_the_interface_has_what_was_promised(document: dict[str, Any]) -> None:
    promised = {
        "/api/v1/calls": {"get", "post"},
        "/api/v1/calls/{call_id}": {"get"},
        "/api/v1/calls/{call_id}/turns": {"get"},
        "/api/v1/calls/{call_id}/events": {"get"},
        "/api/v1/calls/{call_id}/recording": {"get"},
        "/api/v1/calls/{call_id}/end": {"post"},
        "/api/v1/campaigns": {"get", "post"},
        "/api/v1/campaigns/{campaign_id}": {"get", "patch", "delete"},
        "/api/v1/campaigns/{campaign_id}/start": {"post"},
        "/api/v1/campaigns/{campaign_id}/pause": {"post"},
        "/api/v1/campaigns/{campaign_id}/finish": {"post"},
        "/api/v1/campaigns/{campaign_id}/canary": {"get"},
        "/api/v1/campaigns/{campaign_id}/canary/pass": {"post"},
        "/api/v1/campaigns/{campaign_id}/preflight": {"get"},
        "/api/v1/campaigns/{campaign_id}/redial": {"post"},
        "/api/v1/campaigns/{campaign_id}/progress": {"get"},
        "/api/v1/campaigns/{campaign_id}/events": {"get"},
        "/api/v1/campaigns/{campaign_id}/report": {"get"},
        "/api/v1/campaigns/{campaign_id}/evidence": {"get"},
        "/api/v1/campaigns/{campaign_id}/attempts/{attempt_id}/evidence": {"get"},
        "/api/v1/campaigns/{campaign_id}/results": {"get"},
        "/api/v1/campaigns/{campaign_id}/contacts": {"post"},
        "/api/v1/import-previews": {"post"},
        "/api/v1/imports": {"get", "post"},
        "/api/v1/imports/{import_id}": {"get"},
        "/api/v1/imports/{import_id}/faults": {"get"},
        "/api/v1/imports/{import_id}/rejected": {"get"},
        "/api/v1/dialing-rules": {"get", "put"},
        "/api/v1/dialing-rules/check": {"get"},
        "/api/v1/lanes": {"get", "put"},
        "/api/v1/operators": {"get", "post"},
        "/api/v1/operators/{operator_id}": {"get", "patch"},
        "/api/v1/operators/{operator_id}/beat": {"post"},
        "/api/v1/operators/{operator_id}/join": {"post"},
        "/api/v1/operators/{operator_id}/outcome": {"put"},
        "/api/v1/schedules": {"get", "post"},
        "/api/v1/schedules/{schedule_id}": {"get", "patch", "delete"},
        "/api/v1/schedules/{schedule_id}/runs": {"get"},
        "/api/v1/scheduled-calls": {"get", "post"},
        "/api/v1/scheduled-calls/{call_id}": {"get", "delete"},
        "/api/v1/webhook-endpoints": {"get", "post"},
        "/api/v1/webhook-endpoints/{endpoint_id}": {"patch", "delete"},
        "/api/v1/webhook-endpoints/{endpoint_id}/test": {"post"},
        "/api/v1/webhook-endpoints/{endpoint_id}/rotate-secret": {"post"},
        "/api/v1/webhook-endpoints/{endpoint_id}/deliveries": {"get"},
        "/api/v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/retry": {"post"},
        "/api/v1/contacts": {"get"},
        "/api/v1/contacts/{contact_id}": {"get", "patch", "delete"},
        "/api/v1/contacts/{contact_id}/why": {"get"},
        "/api/v1/do-not-call": {"get", "post"},
        "/api/v1/do-not-call/imports": {"post"},
        "/api/v1/do-not-call/signing-secret": {"get"},
        "/api/v1/do-not-call/{phone}": {"delete"},
        "/api/v1/teams": {"get", "post"},
        "/api/v1/numbers": {"get", "post"},
        "/api/v1/trunks": {"get", "post"},
        "/api/v1/trunks/{trunk_id}": {"delete"},
        "/api/v1/api_keys": {"get", "post"},
        "/api/v1/api_keys/{key_id}": {"delete"},
        "/api/v1/events": {"get"},
        "/healthz": {"get"},
        "/readyz": {"get"},
        "/metrics": {"get"},
    }
    assert {path: set(operations) for path, operations in document["paths"].items()} == promised
