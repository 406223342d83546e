"""Alert policies: who is told of what and when; what they would do, and what they did."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, Field
from starlette.responses import Response

from farwatch_api import views
from farwatch_api.bodies import body_of, documented, json_object
from farwatch_api.commands import policies as commands
from farwatch_api.deps import Dependencies, Deps, Requester
from farwatch_api.envelope import page, success, timestamp_ms
from farwatch_api.errors import NotFound
from farwatch_api.params import Id
from farwatch_api.queries import alerting as queries
from farwatch_api.rows import Row
from farwatch_events.matching import NumberedPolicy, Subject
from farwatch_events.monitor import MonitorId, Region, Strict
from farwatch_events.policies import Policy
from farwatch_events.preview import Case, Planned, explain_moments, explain_policies, preview
from farwatch_store import Connection

router = APIRouter(prefix="/api/policies", tags=["policies"])
alerts_router = APIRouter(prefix="/api/monitors", tags=["policies"])
_BODY = documented(Policy)

_ALL = "select * from config.policies where deleted_at is null order by position, id limit 1000"
_ONE = "select * from config.policies where id = $1 and deleted_at is null"
_MONITOR = "select id, name, type, tags, spec from config.monitors where id = $1 and deleted_at is null"
DRAFT_ID = -1


class PreviewBody(Strict):
    """Without `policy` those that are stored decide; with it, as if it stood before them all."""

    monitor_id: MonitorId
    event: Literal["down", "degraded"] = "down"
    at: AwareDatetime | None = None
    regions: list[Region] = Field(default_factory=list, max_length=64)
    policy: Policy | None = None


def describe(row: Row) -> dict[str, Any]:
    times = {name: views.moment(row[name]) for name in ("created_at", "updated_at")}
    return {"id": row["id"], **row["spec"], **times}


async def list_policies(connection: Connection) -> list[dict[str, Any]]:
    return [describe(row) for row in await connection.fetch(_ALL)]


async def read(deps: Deps, policy_id: int) -> dict[str, Any]:
    async with deps.read() as connection:
        row = await connection.fetchrow(_ONE, policy_id)
    if row is None:
        raise NotFound("policy")
    return describe(row)


@router.get("", summary="All policies, in the order in which they are tried")
async def get_policies(deps: Dependencies) -> Response:
    async with deps.read() as connection:
        return success(page(await list_policies(connection), None))


@router.post("", status_code=201, summary="Add a policy", openapi_extra=_BODY)
async def post_policy(request: Request, deps: Dependencies, identity: Requester) -> Response:
    policy_id = await commands.create_policy(deps, identity, await json_object(request))
    return success(await read(deps, policy_id), "Policy added.", 201)


@router.post("/preview", summary="Who would be told what and when", openapi_extra=documented(PreviewBody))
async def post_preview(request: Request, deps: Dependencies, _identity: Requester) -> Response:
    body = await body_of(request, PreviewBody)
    async with deps.read() as connection:
        return success(await look_ahead(connection, body, deps.now()))


async def look_ahead(connection: Connection, body: PreviewBody, now: datetime) -> dict[str, Any]:
    """Raises NotFound."""
    monitor = await connection.fetchrow(_MONITOR, body.monitor_id)
    if monitor is None:
        raise NotFound("monitor")
    policies = await queries.load_policies(connection)
    if body.policy is not None:
        policies.insert(0, NumberedPolicy(DRAFT_ID, body.policy.model_copy(update={"position": -1})))
    parents = list(monitor["spec"].get("parents") or ())
    subject = Subject(monitor["id"], monitor["type"], frozenset(monitor["tags"]), body.event, tuple(body.regions))
    case = Case(
        subject=subject,
        moment=body.event,
        at_ms=int((body.at or now).timestamp() * 1000),
        named_channels=tuple(monitor["spec"].get("channels") or ()),
        has_parents=bool(parents),
        parent=await queries.parent_down(connection, monitor["id"], parents),
    )
    channels = await queries.load_channels(connection)
    planned = preview(policies, await queries.load_silences(connection), channels, case)
    return {
        "monitor_id": monitor["id"],
        "event": body.event,
        "at": timestamp_ms(case.at_ms),
        "policies": [
            {"id": f.policy_id, "name": f.name, "decides": f.decides, "why_not": f.why_not}
            for f in explain_policies(policies, subject)
        ],
        "default_decides": not any(f.decides for f in explain_policies(policies, subject)),
        "planned": [_planned(each, case.at_ms) for each in planned],
        "moments": [asdict(each) for each in explain_moments(policies, channels, subject, case.named_channels)],
    }


def _planned(line: Planned, from_ms: int) -> dict[str, Any]:
    return {
        "at": timestamp_ms(line.at_ms),
        "after_seconds": (line.at_ms - from_ms) // 1000,
        "policy_id": line.policy_id,
        "policy": line.policy,
        "kind": line.kind,
        "step": line.step,
        "round": line.round,
        "channel_id": line.channel_id,
        "channel": line.channel,
        "reason": line.reason,
        "why_not": line.why_not,
        "grouped_seconds": line.grouped_seconds,
    }


@router.get("/{policy_id}", summary="One policy")
async def get_policy(deps: Dependencies, policy_id: Id) -> Response:
    return success(await read(deps, policy_id))


@router.put("/{policy_id}", summary="Replace a policy", openapi_extra=_BODY)
async def put_policy(request: Request, deps: Dependencies, identity: Requester, policy_id: Id) -> Response:
    await commands.update_policy(deps, identity, policy_id, await json_object(request), partly=False)
    return success(await read(deps, policy_id), "Policy saved.")


@router.patch("/{policy_id}", summary="Change some fields of a policy", openapi_extra=_BODY)
async def patch_policy(request: Request, deps: Dependencies, identity: Requester, policy_id: Id) -> Response:
    await commands.update_policy(deps, identity, policy_id, await json_object(request), partly=True)
    return success(await read(deps, policy_id), "Policy saved.")


@router.delete("/{policy_id}", summary="Remove a policy; what it began is not continued")
async def delete_policy(deps: Dependencies, identity: Requester, policy_id: Id) -> Response:
    await commands.delete_policy(deps, identity, policy_id)
    return success({"id": policy_id}, "Policy removed.")


@alerts_router.get("/{monitor_id}/alerts", summary="Who was told at a time, who was not, and why")
async def get_alerts(
    deps: Dependencies,
    monitor_id: Id,
    at: Annotated[AwareDatetime | None, Query(description="When; now without it")] = None,
) -> Response:
    return success(await alerts_at(deps, monitor_id, at or deps.now()))


async def alerts_at(deps: Deps, monitor_id: int, moment: datetime) -> dict[str, Any]:
    """Raises NotFound."""
    async with deps.read() as connection:
        ahead = await look_ahead(connection, PreviewBody(monitor_id=monitor_id, at=moment), deps.now())
        verdict = await queries.verdict_at(connection, monitor_id, moment)
        incident = await queries.incident_at(connection, monitor_id, moment)
        thread = "" if incident is None else f"incident-{incident['id']}"
        deliveries = [views.delivery(row) for row in await queries.deliveries_of(connection, thread)]
        waiting = [_waiting(row) for row in await queries.waiting_of(connection, thread)]
    return {
        "monitor_id": monitor_id,
        "at": views.moment(moment),
        "verdict": None if verdict is None else verdict["verdict"],
        "verdict_since": None if verdict is None else views.moment(verdict["at"]),
        "answer": _answer(verdict, incident, deliveries, waiting),
        "incident": None if incident is None else views.incident(incident, deps.now()),
        "deliveries": deliveries,
        "waiting": waiting,
        "would": ahead,
    }


def _waiting(row: Row) -> dict[str, Any]:
    state = row["state"]
    return {
        "policy_id": row["policy_id"],
        "state": state.get("state"),
        "step": state.get("step"),
        "round": state.get("round"),
        "held": state.get("held"),
        "next_at": None if row["due_at"] is None else views.moment(row["due_at"]),
        "waits_for": row["waits_for"],
    }


def _answer(
    verdict: Row | None, incident: Row | None, deliveries: list[dict[str, Any]], waiting: list[dict[str, Any]]
) -> str:
    """One sentence for people."""
    if incident is None:
        seen = "nothing was decided about it yet" if verdict is None else f"it was {verdict['verdict']}"
        return f"Nobody was told because no incident was open: {seen}."
    told = [each for each in deliveries if each["state"] in ("delivered", "pending")]
    if told:
        names = sorted({str(each["channel_name"]) for each in told})
        return f"Incident {incident['id']} was told to {', '.join(names)}."
    held = [each["held"] for each in waiting if each["held"]]
    reasons = held or sorted({str(each["reason"]) for each in deliveries if each["reason"]})
    return f"Incident {incident['id']} was told to nobody: {'; '.join(reasons) or 'no channel takes it'}."
