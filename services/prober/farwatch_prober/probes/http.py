"""http: a request, its redirects, and what the answer must be."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from farwatch_events.monitor import Auth, HttpMonitor
from farwatch_events.results import Certificate, ErrorClass
from farwatch_prober import classify, evidence
from farwatch_prober.context import ProbeContext
from farwatch_prober.curl import BODY_MAX_BYTES, CurlRequest, Transfer
from farwatch_prober.judge import HttpAnswer, judge_http, status_words
from farwatch_prober.outcome import ProbeFailure, ProbeOutcome, failed
from farwatch_prober.redirects import REDIRECTS, Hop, next_hop, parse_target
from farwatch_prober.transfers import Timings, certificate_of, fault_of

BYTES_FOR_EVIDENCE = 4096


@dataclass(slots=True)
class _Course:
    """How far one try has come, over all its hops."""

    timings: Timings = field(default_factory=Timings)
    certificate: Certificate | None = None
    transfer: Transfer | None = None
    visited: list[str] = field(default_factory=list)


async def probe(spec: HttpMonitor, context: ProbeContext) -> ProbeOutcome:
    course = _Course()
    try:
        transfer = await _follow(spec, context, course)
    except ProbeFailure as failure:
        return _failed(spec, context, course, failure.error_class, failure.sentence)
    return _judged(spec, context, course, transfer)


async def _follow(spec: HttpMonitor, context: ProbeContext, course: _Course) -> Transfer:
    """The last answer of the chain. Raises ProbeFailure when there is none."""
    hop = first_hop(spec)
    while True:
        course.visited.append(hop.target.url)
        transfer = await _request(spec, context, course, hop)
        location = _location(spec, transfer)
        if location is None:
            return transfer
        if len(course.visited) > spec.max_redirects:
            raise ProbeFailure(ErrorClass.REDIRECT, _too_many(spec, course.visited))
        hop = next_hop(hop, transfer.status, location)


async def _request(spec: HttpMonitor, context: ProbeContext, course: _Course, hop: Hop) -> Transfer:
    target = hop.target
    addresses, dns_ms = await context.resolve(target.host, target.port, spec.ip_family)
    course.timings.add_dns(dns_ms)
    request = CurlRequest(
        url=target.url,
        host=target.host,
        port=target.port,
        addresses=addresses,
        timeout_seconds=context.require_time(),
        method=hop.method,
        headers=header_lines(hop.headers),
        body=hop.body,
        verify_tls=spec.verify_tls,
        is_tls=target.scheme == "https",
        keep_bytes=BODY_MAX_BYTES if spec.expected_text or spec.forbidden_text else BYTES_FOR_EVIDENCE,
    )
    transfer = await context.tools.curl.perform(request)
    course.transfer = transfer
    course.timings.add_transfer(transfer)
    context.address = transfer.address or addresses[0]
    course.certificate = certificate_of(transfer, context.now_ms) or course.certificate
    if transfer.code != classify.OK:
        raise ProbeFailure(*fault_of(request, transfer, context.timeout_seconds))
    return transfer


def _location(spec: HttpMonitor, transfer: Transfer) -> str | None:
    if not spec.follow_redirects or transfer.status not in REDIRECTS:
        return None
    return evidence.header(transfer.headers, "location")


def _too_many(spec: HttpMonitor, visited: list[str]) -> str:
    if len(set(visited)) < len(visited):
        return f"The redirects go round in circles, back to {visited[-1][:200]}"
    limit = f"{spec.max_redirects} redirect{'' if spec.max_redirects == 1 else 's'}"
    return f"More than {limit}; the last answer came from {visited[-1][:200]}"


def first_hop(spec: HttpMonitor) -> Hop:
    """The request as it is configured. Raises ProbeFailure for a URL that cannot be asked for."""
    headers = dict(spec.headers)
    if spec.auth is not None:
        headers["Authorization"] = authorization(spec.auth)
    body = None if spec.body is None else spec.body.encode()
    if body is None and spec.method in ("POST", "PUT", "PATCH"):
        body = b""
    if body and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json" if body.lstrip()[:1] in (b"{", b"[") else "text/plain"
    return Hop(parse_target(spec.url), spec.method, headers, body)


def authorization(auth: Auth) -> str:
    if auth.type == "bearer":
        return f"Bearer {auth.token}"
    return "Basic " + base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()


def header_lines(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Lines for libcurl, where a header without a value has to be written with a semicolon."""
    return tuple(f"{name}: {value}" if value else f"{name};" for name, value in headers.items())


def _judged(spec: HttpMonitor, context: ProbeContext, course: _Course, transfer: Transfer) -> ProbeOutcome:
    needs_text = spec.expected_text is not None or spec.forbidden_text is not None
    content_type = evidence.header(transfer.headers, "content-type") if needs_text else None
    answer = HttpAnswer(
        status=transfer.status,
        text=evidence.decode_body(transfer.body, content_type) if needs_text else "",
        complete=transfer.complete,
        latency_ms=course.timings.latency(),
        certificate=course.certificate,
    )
    judgement = judge_http(spec, answer)
    if judgement.error_class is not None:
        return _failed(spec, context, course, judgement.error_class, judgement.error or status_words(transfer.status))
    return ProbeOutcome(
        outcome=judgement.outcome,
        latency_ms=course.timings.latency(),
        phases=course.timings.phases(),
        status_code=transfer.status,
        address=context.address,
        reasons=judgement.reasons,
        certificate=course.certificate,
    )


def _failed(
    spec: HttpMonitor, context: ProbeContext, course: _Course, error_class: ErrorClass, sentence: str
) -> ProbeOutcome:
    secrets = evidence.secrets_of(spec)
    transfer = course.transfer
    seen = None
    if transfer is not None:
        hops = [f"redirected to {url}" for url in course.visited[1:]]
        seen = evidence.gather(transfer.headers, transfer.body, context.address, secrets, hops)
    return failed(
        error_class,
        evidence.without(secrets, sentence),
        latency_ms=course.timings.latency() if transfer else None,
        phases=course.timings.phases(),
        status_code=transfer.status or None if transfer else None,
        address=context.address,
        certificate=course.certificate,
        evidence=seen,
    )
