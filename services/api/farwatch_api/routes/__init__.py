"""HTTP: one module a resource."""

from farwatch_api.routes import auth, health, pages

ROUTERS = (health.router, auth.router, pages.router)
