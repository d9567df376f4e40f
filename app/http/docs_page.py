"""/docs without the internet: Swagger UI's files come from a wheel, where FastAPI's own page loads them from a CDN."""

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

# The wheel's own code would read 1.7 MB a request, and name our files by the Host header.
_FILES = ("fastapi_swagger", "resources")
# Else Swagger UI sends the address of every document to a validator of its makers.
_PARAMETERS = {"validatorUrl": None}


def serve_docs(app: FastAPI, path: str) -> None:
    """Serve Swagger UI at `path`. Make the app with `docs_url=None, redoc_url=None`."""
    files = f"{path}/files"
    app.mount(files, StaticFiles(packages=[_FILES]))

    @app.get(path, include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        root: str = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            title=app.title,
            openapi_url=f"{root}{app.openapi_url}",
            swagger_js_url=f"{root}{files}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{files}/swagger-ui.css",
            swagger_favicon_url=f"{root}{files}/favicon-32x32.png",
            swagger_ui_parameters=_PARAMETERS,
        )
