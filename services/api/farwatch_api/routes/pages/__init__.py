"""Pages for people, one module a part of the screen. Everything they change goes through the REST routes."""

from fastapi import APIRouter

from farwatch_api.routes.pages import incidents, monitor, monitor_forms, overview, settings, welcome

router = APIRouter(include_in_schema=False)
for part in (welcome, overview, monitor_forms, monitor, incidents, settings):
    router.include_router(part.router)
