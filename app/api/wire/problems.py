"""Every error as problem+json (RFC 9457), in one shape, with the request's id and nothing of our insides."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from app.errors import InvalidInput, TrunklineError, Unavailable

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:trunkline:problem:"
# The phrases of http.HTTPStatus change between versions of Python; a code never does.
_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "content_too_large",
    415: "unsupported_media_type",
}


class Problem(BaseModel):
    """What every error looks like: `code` is stable, `detail` says what to do, `errors` lists an input's faults."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:trunkline:problem:invalid_input",
                    "title": "Invalid input",
                    "status": 422,
                    "detail": "1 fault in the request.",
                    "code": "invalid_input",
                    "request_id": "0199f2a4-6f0e-7c60-9d0b-6f1a2b3c4d5e",
                    "errors": [{"path": "body.to", "message": "Field required"}],
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None = None


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a router's `responses`: these statuses, and those that any request may get, are problems."""
    return {
        status: {
            "model": Problem,
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({401, 403, 422, *statuses})
    }


def problem(
    request_id: str | None, status: int, code: str, title: str, detail: str, extra: Mapping[str, Any] | None = None
) -> JSONResponse:
    """One problem document. `extra["retry_after_seconds"]` becomes the Retry-After header too."""
    members = dict(extra or {})
    headers: dict[str, str] = {}
    if "retry_after_seconds" in members:
        headers["Retry-After"] = str(members["retry_after_seconds"])
    elif status == 503:
        headers["Retry-After"] = "2"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = problem_body(request_id, status, code, title, detail, members)
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def problem_body(
    request_id: str | None, status: int, code: str, title: str, detail: str, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """The members of the document; `extra` cannot displace the standard ones."""
    return dict(extra) | {
        "type": _TYPE + code,
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }


def request_id_of(request: Request) -> str | None:
    return request.scope.get("trunkline.request_id")


def problem_of(error: TrunklineError, request_id: str | None) -> JSONResponse:
    return problem(request_id, error.status, error.code, error.title, error.detail, error.extra)


def internal_problem(request_id: str | None) -> JSONResponse:
    """For what nobody foresaw: the log knows more, under the same request id."""
    return problem(
        request_id, 500, "internal", "Internal error", "Something went wrong on our side; the request id finds it."
    )


def install_problems(app: FastAPI) -> None:
    """Render our errors, the framework's, and those of Postgres that say something about the request."""

    @app.exception_handler(TrunklineError)
    async def _ours(request: Request, error: TrunklineError) -> JSONResponse:
        return problem_of(error, request_id_of(request))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [{"path": path_of(fault["loc"]), "message": str(fault["msg"])} for fault in error.errors()]
        count = f"{len(faults)} fault" + ("s" if len(faults) != 1 else "")
        return problem_of(InvalidInput(f"{count} in the request.", errors=faults), request_id_of(request))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        code = _CODES.get(error.status_code, "http_error")
        title = code.replace("_", " ").capitalize()
        response = problem(request_id_of(request), error.status_code, code, title, _http_detail(request, error))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(asyncpg.InsufficientPrivilegeError)
    async def _refused(request: Request, _error: asyncpg.InsufficientPrivilegeError) -> JSONResponse:
        return problem(request_id_of(request), 403, "forbidden", "Not allowed", "Your role may not do this.")

    @app.exception_handler(asyncpg.DataError)
    async def _unstorable(request: Request, _error: asyncpg.DataError) -> JSONResponse:
        fault = InvalidInput("The request contains a value that cannot be stored (a NUL character, say).", errors=[])
        return problem_of(fault, request_id_of(request))

    @app.exception_handler(asyncpg.PostgresConnectionError)
    @app.exception_handler(asyncpg.OperatorInterventionError)
    async def _gone(request: Request, _error: asyncpg.PostgresError) -> JSONResponse:
        return problem_of(Unavailable("The database went away; try again in a moment."), request_id_of(request))


def document_problems(app: FastAPI) -> None:
    """FastAPI documents every model as application/json; problems are application/problem+json only."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            for operations in generate()["paths"].values():
                for operation in operations.values():
                    for response in operation["responses"].values():
                        content = response.get("content", {})
                        if MEDIA_TYPE in content:
                            content.pop("application/json", None)
        return generate()

    app.openapi = openapi


def path_of(location: tuple[int | str, ...]) -> str:
    """("body", "agents", 1) → "body.agents.1"."""
    return ".".join(str(part) for part in location)


def _http_detail(request: Request, error: HTTPException) -> str:
    if error.status_code == 404 and error.detail == "Not Found":
        return "There is nothing at this address; /docs lists what there is."
    if error.status_code == 405:
        return f"{request.method} is not possible here."
    return error.detail
