"""The application, built from what it works with. Nothing connects here."""

from fastapi import FastAPI
from starlette.middleware import Middleware

from farwatch_api import envelope, errors, web
from farwatch_api.access import Gate
from farwatch_api.deps import Deps
from farwatch_api.middleware import Figures, SecurityHeaders, WholeBody
from farwatch_api.routes import ROUTERS, pages


def create_app(deps: Deps) -> FastAPI:
    app = FastAPI(
        title="Farwatch",
        version="1",
        description="Watches websites and services from many places. Every answer under /api has the same envelope.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=envelope.REFUSALS,
        middleware=[
            Middleware(Figures, registry=deps.registry),
            Middleware(SecurityHeaders),
            Middleware(WholeBody),
            Middleware(Gate, deps=deps),
        ],
    )
    app.state.deps = deps
    errors.install(app)
    web.install(app)
    pages.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
