"""Templates and static files, for the pages."""

import asyncio
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from farwatch_api.presentation.words import FILTERS

FOLDER = Path(__file__).parent
TEMPLATES = FOLDER / "templates"
STATIC = FOLDER / "static"
WEEK_SECONDS = 7 * 86400
BETWEEN_TEMPLATES_SECONDS = 0.005


def template_environment() -> Environment:
    """Autoescape always, whatever the file is called; a misspelt name is an error, not an empty string."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static_url"] = static_url
    environment.filters.update(FILTERS)
    return environment


def render(app: FastAPI, name: str, status_code: int = 200, /, **values: Any) -> HTMLResponse:
    environment: Environment = app.state.templates
    return HTMLResponse(environment.get_template(name).render(**values), status_code)


async def compile_templates(app: FastAPI) -> None:
    """Between requests, after the start. Whoever opened the first page waited half a second for it otherwise."""
    environment: Environment = app.state.templates
    for name in environment.list_templates():
        environment.get_template(name)
        await asyncio.sleep(BETWEEN_TEMPLATES_SECONDS)


@lru_cache(maxsize=256)
def static_url(path: str) -> str:
    """Address of a static file, with its content's hash: it may be cached and still changes with the version."""
    file = STATIC / path
    mark = hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.is_file() else "0"
    return f"/static/{path}?v={mark}"


class CachedStatic(StaticFiles):
    """Browsers may keep what was asked for with its hash."""

    def file_response(self, *args: Any, **kwargs: Any) -> Any:
        response = super().file_response(*args, **kwargs)
        scope: Scope = args[2] if len(args) > 2 else kwargs["scope"]
        marked = b"v=" in scope.get("query_string", b"")
        response.headers["cache-control"] = f"public, max-age={WEEK_SECONDS}, immutable" if marked else "no-cache"
        return response


def install(app: FastAPI) -> None:
    app.state.templates = template_environment()
    if STATIC.is_dir():
        app.mount("/static", CachedStatic(directory=STATIC), name="static")
