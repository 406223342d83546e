"""The address that push monitors' jobs call. Public: the token in it is the secret."""

import math
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from farwatch_api.deps import Dependencies, Deps
from farwatch_api.envelope import success
from farwatch_api.errors import NotFound, Unavailable
from farwatch_api.problems import Invalid
from farwatch_api.push import Signal, publish_push, push_result
from farwatch_bus import BusError
from farwatch_events.results import PUSH_MESSAGE_MAX_CHARS, CheckResult

router = APIRouter(tags=["push"])

PING_MAX_MS = 86_400_000.0
EXIT_CODE_MAX = 255
_MONITOR = """
    select id, enabled, config_version from config.monitors where push_token = $1 and deleted_at is null
"""

Status = Annotated[str, Query(max_length=16, description="up, or anything else for a failure")]
Text = Annotated[str, Query(description="What happened; without it the body says so. 1,000 characters are kept")]
Ping = Annotated[str, Query(max_length=32, description="How long the job took, in ms; else since its start")]
Run = Annotated[str, Query(max_length=64, description="A name of the run, where several may overlap")]


@dataclass(frozen=True, slots=True)
class Call:
    """What a job said, before it is known which monitor it belongs to. `status` is "up" or a failure."""

    status: str
    message: str
    ping_ms: float | None
    run_id: str | None
    signal: Signal = "finish"
    exit_code: int | None = None


@router.get("/push/{token}", summary="A push monitor's job says that it is alive")
@router.post("/push/{token}", summary="A push monitor's job says that it is alive")
async def push(
    request: Request,
    deps: Dependencies,
    token: str,
    status: Status = "up",
    msg: Text = "",
    ping: Ping = "",
    rid: Run = "",
) -> Response:
    message = msg or await body_text(request)
    return await _take(deps, token, Call(status.lower(), message, parse_ping(ping), rid or None))


@router.get("/push/{token}/{signal}", summary="It starts, ends well, fails, or ends with an exit code")
@router.post("/push/{token}/{signal}", summary="It starts, ends well, fails, or ends with an exit code")
async def push_signal(
    request: Request, deps: Dependencies, token: str, signal: str, msg: Text = "", ping: Ping = "", rid: Run = ""
) -> Response:
    message = msg or await body_text(request)
    return await _take(deps, token, call_of(signal, message, parse_ping(ping), rid or None))


def call_of(signal: str, message: str, ping_ms: float | None, run_id: str | None) -> Call:
    """From the last part of the address. Raises Invalid for what is no signal."""
    if signal == "start":
        return Call("up", message, None, run_id, signal="start")
    if signal in ("success", "fail"):
        return Call("up" if signal == "success" else "down", message, ping_ms, run_id)
    if not signal.isdecimal() or int(signal) > EXIT_CODE_MAX:
        raise Invalid.at("signal", f"must be start, success, fail or an exit code from 0 to {EXIT_CODE_MAX}")
    return Call("up", message, ping_ms, run_id, exit_code=int(signal))


async def body_text(request: Request) -> str:
    """The beginning of what was posted, as text. Stays empty for GET."""
    body = await request.body()
    return body[: 4 * PUSH_MESSAGE_MAX_CHARS].decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


async def _take(deps: Deps, token: str, call: Call) -> Response:
    async with deps.read() as connection:
        row = await connection.fetchrow(_MONITOR, token[:128])
    if row is None:
        raise NotFound("push monitor")
    if not row["enabled"]:
        return success({"ok": True, "recorded": False}, "The monitor is paused: nothing was recorded.")
    try:
        await publish_push(deps.publisher, _result(row["id"], row["config_version"], deps.now_ms(), call))
    except (BusError, TimeoutError):
        raise Unavailable("The push could not be recorded. Send it again.") from None
    return success({"ok": True, "recorded": True})


def _result(monitor_id: int, config_version: int, now_ms: int, call: Call) -> CheckResult:
    return push_result(
        monitor_id,
        config_version,
        now_ms,
        call.status,
        call.message,
        call.ping_ms,
        signal=call.signal,
        exit_code=call.exit_code,
        run_id=call.run_id,
    )


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
