"""HTTP: one module a resource."""

from farwatch_api.routes import (
    accounts,
    auth,
    channels,
    docs,
    health,
    history,
    incidents,
    live,
    maintenance,
    monitors,
    pages,
    push,
    seeds,
    status,
)

ROUTERS = (
    health.router,
    auth.router,
    status.router,
    monitors.router,
    history.router,
    history.bars_router,
    live.router,
    incidents.router,
    channels.router,
    maintenance.router,
    accounts.tokens,
    accounts.users,
    push.router,
    seeds.router,
    docs.router,
    pages.router,
)
