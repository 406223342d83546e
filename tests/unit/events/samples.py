"""One full sample of every stored event and every message on the bus: what the golden files were written from."""

from typing import Any

from pydantic import BaseModel

from farwatch_events import checks, events, guard, live, results
from farwatch_events.monitor import parse_monitor

AT = 1_800_000_000_000
SLOT = 1_799_999_995_000

HTTP = parse_monitor(
    {
        "type": "http",
        "name": "Shop",
        "url": "https://shop.example/health",
        "interval_seconds": 30,
        "headers": {"X-Api-Key": "enc:v1:abc"},
        "expected_status": ["200-299", 304],
        "auth": {"type": "basic", "username": "u", "password": "enc:v1:def"},
        "regions": ["eu", "us"],
        "channels": [1],
    }
)
VOTE = events.RegionVote(
    region="eu", vote="down", slot_ms=SLOT, error_class=results.ErrorClass.CONNECT_REFUSED, error="Connection refused"
)
EVIDENCE = results.Evidence(
    status_line="HTTP/1.1 503 Service Unavailable",
    headers={"server": "nginx"},
    body="<h1>503</h1>",
    address="192.0.2.7",
    notes=["answered in 12 ms"],
)
CAUSE = events.Cause(error_class=results.ErrorClass.STATUS, error="Answered 503, expected 200-299")
INCIDENT: dict[str, Any] = {"at_ms": AT, "incident_id": 3, "monitor_id": 7}
MONITOR: dict[str, Any] = {"at_ms": AT, "monitor_id": 7}
SPEC = {"type": "ping", "name": "Gateway", "host": "192.0.2.1"}

EVENTS: list[events.DomainEvent] = [
    events.MonitorCreated(**MONITOR, config_version=1, spec=SPEC),
    events.MonitorUpdated(**MONITOR, config_version=2, changed=["name"], spec=SPEC),
    events.MonitorPaused(**MONITOR, config_version=3),
    events.MonitorResumed(**MONITOR, config_version=4),
    events.MonitorDeleted(**MONITOR, name="Gateway"),
    events.ContentAccepted(**MONITOR),
    events.VoteChanged(
        **MONITOR,
        region="eu",
        before="up",
        after="down",
        slot_ms=SLOT,
        reason="2 of 2 tries failed",
        error_class=results.ErrorClass.TIMEOUT,
        error="No answer within 10 s",
        attempts=2,
    ),
    events.VerdictChanged(
        **MONITOR, before="up", after="down", slot_ms=SLOT, rule="all_of_few", reason="Down: eu", votes=[VOTE]
    ),
    events.FirstFailure(
        **MONITOR,
        region="eu",
        slot_ms=SLOT,
        error_class=results.ErrorClass.DNS,
        error="No such name",
        confirmed=True,
    ),
    events.FirstSuccess(**MONITOR, region="eu", slot_ms=SLOT, latency_ms=12.5, recovered=True),
    events.ConfirmationRequested(
        **MONITOR, region="us", failed_slot_ms=SLOT, reason="eu sees a failure", all_tries=True
    ),
    events.FlappingStarted(**MONITOR, percent=31.5, reason="Flapping: 31.5% of the last 20 checks changed the verdict"),
    events.FlappingEnded(**MONITOR, percent=18.2, reason="Steady again: 18.2% of the last 20 checks changed it"),
    events.IncidentOpened(
        **INCIDENT,
        monitor_name="Shop",
        severity="down",
        cause=CAUSE,
        regions=["eu"],
        reason="Down: eu",
        votes=[VOTE],
        evidence=EVIDENCE,
        suppressed="maintenance",
        reopened=True,
        lead_up=[events.LeadUp(at_ms=AT - 5_000, region="eu", vote="down", slot_ms=SLOT, sentence="eu failed")],
        failed_ms=SLOT + 20,
    ),
    events.IncidentSeverityRaised(
        **INCIDENT,
        severity="down",
        cause=CAUSE,
        reason="Down: eu",
        votes=[VOTE],
        regions=["eu"],
        evidence=EVIDENCE,
        failed_ms=SLOT + 20,
    ),
    events.IncidentUnsuppressed(**INCIDENT, reason="Maintenance ended, still down"),
    events.IncidentAcknowledged(**INCIDENT, actor="user:1"),
    events.IncidentNoted(**INCIDENT, actor="user:1", text="Looking"),
    events.IncidentResolved(
        **INCIDENT,
        monitor_name="Shop",
        how="recovered",
        duration_seconds=90,
        reason="Up: eu",
        actor="user:1",
        suppressed="maintenance",
    ),
    events.IncidentGrouped(
        **INCIDENT, group_id=2, by="address", key="192.0.2.7", reason="2 monitors fail at the address 192.0.2.7"
    ),
    events.RegionRegistered(at_ms=AT, region="eu"),
    events.RegionDeleted(at_ms=AT, region="eu"),
    events.RegionSilenced(at_ms=AT, region="eu", last_seen_ms=SLOT),
    events.RegionReturned(at_ms=AT, region="eu", silent_seconds=60),
    events.RegionSuspected(at_ms=AT, region="eu", reason="12 of 20 failures here were up elsewhere"),
    events.RegionCleared(at_ms=AT, region="eu", reason="agrees again"),
    events.ChannelCreated(at_ms=AT, channel_id=1, name="Team", channel_type="discord"),
    events.ChannelUpdated(at_ms=AT, channel_id=1, changed=["name"]),
    events.ChannelDeleted(at_ms=AT, channel_id=1, name="Team"),
    events.DeliveryFailed(at_ms=AT, channel_id=1, delivery_id=9, moment="down", error="404 Unknown Webhook"),
    events.MaintenanceScheduled(at_ms=AT, maintenance_id=2, name="Upgrade"),
    events.MaintenanceChanged(at_ms=AT, maintenance_id=2, changed=["ends_at"]),
    events.MaintenanceCancelled(at_ms=AT, maintenance_id=2),
    events.PolicyCreated(at_ms=AT, policy_id=2, name="Nights", spec={"name": "Nights"}),
    events.PolicyUpdated(at_ms=AT, policy_id=2, changed=["quiet"], spec={"name": "Nights"}),
    events.PolicyDeleted(at_ms=AT, policy_id=2, name="Nights"),
    events.SilenceStarted(at_ms=AT, silence_id=4, match={"tags": ["db"]}, reason="moving", ends_ms=AT + 3_600_000),
    events.SilenceChanged(at_ms=AT, silence_id=4, changed=["ends_at"]),
    events.SilenceCancelled(at_ms=AT, silence_id=4),
    events.DrillStarted(at_ms=AT, drill_id=5, monitor_id=7, monitor_name="Shop", severity="down", actor="user:3"),
    events.DrillAcknowledged(at_ms=AT, drill_id=5, monitor_id=7, actor="user:3", seconds=42.5),
    events.DrillEnded(
        at_ms=AT,
        drill_id=5,
        monitor_id=7,
        monitor_name="Shop",
        duration_seconds=42,
        reason="acknowledged by user:3",
        seconds=42.5,
    ),
    events.UserCreated(at_ms=AT, user_id=1, email="a@example.org"),
    events.UserChanged(at_ms=AT, user_id=1, changed=["password"]),
    events.UserDeleted(at_ms=AT, user_id=1, name="Ada"),
    events.UserSignedIn(at_ms=AT, user_id=1, address="192.0.2.9"),
    events.TokenCreated(at_ms=AT, user_id=1, token_id=4, name="ci", scope="read"),
    events.TokenRevoked(at_ms=AT, user_id=1, token_id=4),
    events.EpochStarted(at_ms=AT, epoch=5, holder="host-1", reason="took the lease"),
    events.SlotsParked(at_ms=AT, ahead_ms=90_000),
    events.SlotsReleased(at_ms=AT, ahead_ms=400),
    events.MessageParked(at_ms=AT, source="RESULTS_eu", sequence=41, reason="not a message", count=3),
    events.SystemTroubled(at_ms=AT, problem="due_backlog", subject="eu", reason="900 chunks of due checks wait"),
    events.SystemRecovered(
        at_ms=AT, problem="due_backlog", subject="eu", reason="No due checks wait any more", seconds=95
    ),
]

RESULT = results.CheckResult(
    monitor_id=7,
    config_version=2,
    slot_ms=SLOT,
    kind="confirmation",
    epoch=5,
    outcome="down",
    started_ms=SLOT + 12,
    finished_ms=SLOT + 40,
    latency_ms=28.25,
    phases=results.Phases(dns_ms=1.5, connect_ms=2, tls_ms=9, wait_ms=15, transfer_ms=0.75),
    status_code=503,
    address="192.0.2.7",
    attempts=1,
    tries=[results.Try(started_ms=SLOT + 12, latency_ms=28.25, error_class=results.ErrorClass.STATUS, error="503")],
    error_class=results.ErrorClass.STATUS,
    error="Answered 503, expected 200-299",
    reasons=["certificate ends in 5 days"],
    assertions=[
        results.AssertionResult(
            subject="status", operator="one_of", expected="200-299", seen="503", ok=False, severity="down"
        )
    ],
    certificate=results.Certificate(not_after_ms=AT, days=5, subject="shop.example", issuer="Example CA"),
    evidence=EVIDENCE,
    page=guard.Page(of="0a1b", content_type="text/html", title="Shop", size_bytes=812, script=("cdn.example",)),
    request_id="r1",
    confirmation_of_ms=SLOT,
    push=results.PushCall(signal="start", run_id="a1", message="begun", exit_code=3),
    lag_ms=0.5,
)

MESSAGES: list[BaseModel] = [
    checks.DueChunk(
        region="eu",
        epoch=5,
        tick_ms=SLOT,
        checks=[checks.DueCheck(monitor_id=7, config_version=2, slot_ms=SLOT, kind="manual", tries=1, spec=HTTP)],
    ),
    checks.CheckNowRequest(monitor_id=7, request_id="r1", regions=["eu"]),
    checks.CheckNowReply(regions=["eu"], slot_ms=SLOT, error="no scheduler"),
    checks.RegisterRegionRequest(region="eu", prober="p1"),
    checks.IncidentCommand(incident_id=3, actor="user:1", actor_name="Ada", text="Looking"),
    checks.Reply(ok=False, error="no such incident", code="not_found"),
    checks.TestChannelRequest(channel_id=1),
    checks.TestChannelReply(ok=False, rendered="m", request="POST", answer="404", error="404 Unknown Webhook"),
    results.ResultBatch(type="results", region="eu", prober="p1", healthy=False, results=[RESULT]),
    results.Heartbeat(
        type="heartbeat",
        region="eu",
        prober="p1",
        sent_ms=AT,
        software="0.1.0",
        started_ms=SLOT,
        healthy=False,
        reason="no resolver answers",
        in_flight=3,
        capacity=2000,
        checks_per_second=12.5,
        loop_lag_ms=0.5,
        watermark_ms=SLOT,
        epoch=5,
    ),
    live.LiveMonitor(
        monitor_id=7,
        slot_ms=SLOT,
        region="eu",
        verdict="down",
        verdict_changed=True,
        outcome="down",
        latency_ms=28.25,
        incident_id=3,
    ),
    live.LiveMonitors(
        monitors=[
            live.LiveMonitor(
                monitor_id=7,
                slot_ms=SLOT,
                region="eu",
                verdict="down",
                verdict_changed=True,
                outcome="down",
                latency_ms=28.25,
                incident_id=3,
            )
        ]
    ),
    live.LiveCheck(request_id="r1", region="eu", result=RESULT),
]
