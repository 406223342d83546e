"""Check now: ask the scheduler, then wait for what the fold stores."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from farwatch_api.deps import Deps
from farwatch_api.envelope import success, timestamp_ms
from farwatch_api.errors import Conflict, NotFound, Unavailable
from farwatch_api.presentation.expectations import explained
from farwatch_api.problems import Invalid
from farwatch_bus import BusTimeout, Message, NoResponders
from farwatch_events import subjects
from farwatch_events.checks import CheckNowReply, CheckNowRequest
from farwatch_events.ids import uuid7
from farwatch_events.live import LiveCheck
from farwatch_events.results import CheckResult

ASK_SECONDS = 5.0
EXTRA_SECONDS = 5.0
_MONITOR = "select type, enabled, spec from config.monitors where id = $1 and deleted_at is null"


async def check_now(deps: Deps, monitor_id: int, regions: list[str]) -> Response:
    """200 with each region's result, or 202 with those that came within timeout + 5 s."""
    timeout_seconds = await _require_checkable(deps, monitor_id)
    request_id = str(uuid7(deps.now_ms()))
    found: asyncio.Queue[LiveCheck] = asyncio.Queue(100)
    subscription = await deps.bus.subscribe(subjects.live_check(request_id), collector(found))
    try:
        asked = await _ask(deps, CheckNowRequest(monitor_id=monitor_id, request_id=request_id, regions=regions))
        results = await gather(found, set(asked), timeout_seconds + EXTRA_SECONDS)
    finally:
        await subscription.unsubscribe()
    missing = sorted(set(asked) - set(results))
    data = {
        "request_id": request_id,
        "monitor_id": monitor_id,
        "regions": asked,
        "missing": missing,
        "results": [describe(region, results[region]) for region in sorted(results)],
    }
    if missing:
        return success(data, f"No result yet from {', '.join(missing)}: it will be in the history.", 202)
    return success(data)


async def _require_checkable(deps: Deps, monitor_id: int) -> float:
    async with deps.read() as connection:
        row = await connection.fetchrow(_MONITOR, monitor_id)
    if row is None:
        raise NotFound("monitor")
    if row["type"] == "push":
        raise Invalid.at("type", "is push: such a monitor waits to be called and cannot be checked")
    if not row["enabled"]:
        raise Conflict("The monitor is paused: resume it first.")
    return float(row["spec"].get("timeout_seconds", 10))


async def _ask(deps: Deps, request: CheckNowRequest) -> list[str]:
    try:
        answer = await deps.bus.request(subjects.CHECK_NOW_COMMAND, request.to_bytes(), ASK_SECONDS)
    except (NoResponders, BusTimeout):
        raise Unavailable("No scheduler answers. Try again in a few seconds.") from None
    reply = CheckNowReply.from_bytes(answer)
    if reply.error is not None or not reply.regions:
        raise Unavailable(reply.error or "No region could be asked.")
    return reply.regions


def collector(found: "asyncio.Queue[LiveCheck]") -> Any:
    async def on_message(message: Message) -> None:
        try:
            check = LiveCheck.from_bytes(message.data)
        except ValidationError:
            return
        if not found.full():
            found.put_nowait(check)

    return on_message


async def gather(found: "asyncio.Queue[LiveCheck]", wanted: set[str], timeout_seconds: float) -> dict[str, CheckResult]:
    """The result of each wanted region that came in time."""
    results: dict[str, CheckResult] = {}
    try:
        async with asyncio.timeout(timeout_seconds):
            while wanted - set(results):
                check = await found.get()
                results[check.region] = check.result
    except TimeoutError:
        pass
    return results


def describe(region: str, result: CheckResult) -> dict[str, Any]:
    """A fresh result in the words of `last_check`, with its tries."""
    certificate = result.certificate
    return {
        "slot": timestamp_ms(result.slot_ms),
        "region": region,
        "ok": result.ok,
        "outcome": result.outcome,
        "latency_ms": result.latency_ms,
        "phases": result.phases.model_dump(),
        "status_code": result.status_code,
        "address": result.address,
        "attempts": result.attempts,
        "error_class": result.error_class,
        "error": result.error,
        "reasons": result.reasons,
        "assertions": [explained(assertion.model_dump(mode="json")) for assertion in result.assertions],
        "certificate": None
        if certificate is None
        else {
            "not_after": _not_after(certificate.not_after_ms),
            "days": certificate.days,
            "subject": certificate.subject,
            "issuer": certificate.issuer,
        },
        "tries": [
            {
                "started_at": timestamp_ms(each.started_ms),
                "latency_ms": each.latency_ms,
                "error_class": each.error_class,
                "error": each.error,
                "address": each.address,
            }
            for each in result.tries
        ],
    }


def _not_after(milliseconds: int) -> str | None:
    """None for certificates that claim to last beyond the calendar."""
    try:
        datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return timestamp_ms(milliseconds)
