"""Pages for people, one module a part of the screen. Everything they change goes through the REST routes."""

from fastapi import APIRouter, FastAPI

from farwatch_api.routes.pages import alerting, incidents, monitor, monitor_forms, overview, settings, welcome
from farwatch_api.routes.pages.rendering import broken, not_found

router = APIRouter(include_in_schema=False)
for part in (welcome, overview, monitor_forms, monitor, incidents, alerting, settings):
    router.include_router(part.router)


def install(app: FastAPI) -> None:
    """People get pages where programs get the envelope: for wrong links and for faults of ours."""
    app.add_exception_handler(404, not_found)
    app.add_exception_handler(500, broken)
