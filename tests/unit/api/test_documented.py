"""docs/api.md names every route, and none that is gone; the OpenAPI document and its page stand on their own."""

import re
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from farwatch_api.routes import ROUTERS
from farwatch_api.routes.docs import _PAGE, grouped
from farwatch_events.channels import CHANNEL_TYPES, MOMENTS
from farwatch_events.monitor import MONITOR_TYPES

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
UNLISTED = {"GET /healthz", "GET /readyz", "GET /metrics", "GET /api/openapi.json", "GET /api/docs"}


def served() -> set[str]:
    return {
        f"{method} {route.path}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.include_in_schema
        for method in route.methods or ()
    } | UNLISTED


def openapi() -> dict[str, Any]:
    app = FastAPI()
    for router in ROUTERS:
        app.include_router(router)
    return app.openapi()


def test_the_page_lists_exactly_the_routes_there_are() -> None:
    listed = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`?\s]*)", PAGE))
    assert served() - listed == set(), "not in docs/api.md"
    assert listed - served() == set(), "in docs/api.md but gone"


def test_the_page_names_every_monitor_field_channel_field_and_moment() -> None:
    names = {field.alias or name for model in MONITOR_TYPES.values() for name, field in model.model_fields.items()}
    names |= {name for model in CHANNEL_TYPES.values() for name in model.model_fields}
    names |= {*MOMENTS, *CHANNEL_TYPES, *MONITOR_TYPES}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


def test_openapi_describes_bodies_and_summaries() -> None:
    document = openapi()
    operations = [o for path in document["paths"].values() for o in path.values()]
    assert len(operations) > 50
    assert all(operation["summary"] for operation in operations)
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    body = document["paths"]["/api/monitors"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {each["properties"]["type"]["const"] for each in body["oneOf"]} == set(MONITOR_TYPES)
    assert "$defs" not in str(document["paths"])


def test_the_readable_page_needs_no_script_and_no_other_site() -> None:
    page = _PAGE.render(groups=grouped(openapi()))
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    for text in ("/api/monitors/{monitor_id}/uptime", "interval_seconds", "X-CSRF-Token"):
        assert text in page
