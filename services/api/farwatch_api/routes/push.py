"""The address that push monitors' jobs call. Public: the token in it is the secret."""

import math
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from farwatch_api.deps import Dependencies
from farwatch_api.envelope import success
from farwatch_api.errors import NotFound, Unavailable
from farwatch_api.problems import Invalid
from farwatch_api.push import MESSAGE_MAX_CHARS, publish_push, push_result
from farwatch_bus import BusError

router = APIRouter(tags=["push"])

PING_MAX_MS = 86_400_000.0
_MONITOR = """
    select id, enabled, config_version from config.monitors where push_token = $1 and deleted_at is null
"""


@router.get("/push/{token}", summary="A push monitor's job says that it is alive")
@router.post("/push/{token}", summary="A push monitor's job says that it is alive")
async def push(
    deps: Dependencies,
    token: str,
    status: Annotated[str, Query(max_length=16, description="up, or anything else for a failure")] = "up",
    msg: Annotated[str, Query(description="What happened; the first 500 characters are kept")] = "",
    ping: Annotated[str, Query(max_length=32, description="How long the job took, in ms")] = "",
) -> Response:
    latency_ms = parse_ping(ping)
    async with deps.read() as connection:
        row = await connection.fetchrow(_MONITOR, token[:128])
    if row is None:
        raise NotFound("push monitor")
    if not row["enabled"]:
        return success({"ok": True, "recorded": False}, "The monitor is paused: nothing was recorded.")
    result = push_result(
        row["id"], row["config_version"], deps.now_ms(), status.lower(), msg[:MESSAGE_MAX_CHARS], latency_ms
    )
    try:
        await publish_push(deps.publisher, result)
    except (BusError, TimeoutError):
        raise Unavailable("The push could not be recorded. Send it again.") from None
    return success({"ok": True, "recorded": True})


def parse_ping(text: str) -> float | None:
    """Milliseconds; None for an empty value, which scripts send. Raises Invalid."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= PING_MAX_MS:
        raise Invalid.at("ping", "must be a number of milliseconds")
    return value
