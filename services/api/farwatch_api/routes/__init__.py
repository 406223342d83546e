"""HTTP: one module a resource."""

from fastapi.routing import APIRoute

from farwatch_api.routes import (
    accounts,
    alert_links,
    auth,
    channels,
    docs,
    drills,
    export,
    health,
    history,
    incidents,
    live,
    maintenance,
    monitors,
    pages,
    policies,
    push,
    seeds,
    silences,
    status,
)

ROUTERS = (
    health.router,
    auth.router,
    status.router,
    monitors.router,
    history.router,
    history.bars_router,
    export.router,
    live.router,
    incidents.router,
    channels.router,
    policies.router,
    policies.alerts_router,
    silences.router,
    drills.router,
    alert_links.router,
    maintenance.router,
    accounts.tokens,
    accounts.users,
    push.router,
    seeds.router,
    docs.router,
    pages.router,
)


def every_route() -> list[tuple[str, str]]:
    """(method, path pattern) of all there is, for the tests that walk them and the page that documents them."""
    return [
        (method, route.path)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]
