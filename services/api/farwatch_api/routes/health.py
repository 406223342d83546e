"""/healthz, /readyz and /metrics on the public port too, answered as each service answers them on its own."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from farwatch_api.deps import Dependencies, Deps
from farwatch_runtime import health

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz(request: Request, deps: Dependencies) -> Response:
    return answer(request, deps)


@router.get("/readyz")
async def readyz(request: Request, deps: Dependencies) -> Response:
    return answer(request, deps)


@router.get("/metrics")
async def metrics(request: Request, deps: Dependencies) -> Response:
    return answer(request, deps)


def answer(request: Request, deps: Deps) -> Response:
    peer = request.client.host if request.client else ""
    asked = health.Request(request.method, request.url.path, request.headers, peer)
    token = deps.settings.metrics_token
    found = health.answer(asked, deps.health, deps.registry, token.get_secret_value() if token else None)
    return Response(found.body, found.status, media_type=found.content_type)
