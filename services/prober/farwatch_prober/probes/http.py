"""http: a request, its redirects, and what the answer must be."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from farwatch_events.assertions import HEADER_PREFIX
from farwatch_events.monitor import MASK, Auth, HttpMonitor, is_secret_header
from farwatch_events.results import AssertionResult, Certificate, ErrorClass
from farwatch_prober import classify, evidence
from farwatch_prober.assertions import Facts
from farwatch_prober.context import ProbeContext
from farwatch_prober.curl import BODY_MAX_BYTES, CurlRequest, Transfer
from farwatch_prober.judge import certificate_facts, judge, phase_facts, rules_of_http, status_words
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
        keep_bytes=BODY_MAX_BYTES if needs_body(spec) else BYTES_FOR_EVIDENCE,
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
    judgement = judge(rules_of_http(spec), _facts(spec, context, course, transfer))
    if judgement.error_class is not None:
        sentence = judgement.error or status_words(transfer.status)
        return _failed(spec, context, course, judgement.error_class, sentence, judgement.assertions)
    secrets = evidence.secrets_of(spec) if judgement.assertions else ()
    return ProbeOutcome(
        outcome=judgement.outcome,
        latency_ms=course.timings.latency(),
        phases=course.timings.phases(),
        status_code=transfer.status,
        address=context.address,
        reasons=tuple(evidence.without(secrets, reason) for reason in judgement.reasons),
        assertions=_without(secrets, judgement.assertions),
        certificate=course.certificate,
    )


def _facts(spec: HttpMonitor, context: ProbeContext, course: _Course, transfer: Transfer) -> Facts:
    status_line, headers = evidence.decode_headers(transfer.headers) if needs_headers(spec) else ("", [])
    text = ""
    if needs_body(spec):
        content_type = next((value for name, value in headers if name.lower() == "content-type"), None)
        text = evidence.decode_body(transfer.body, content_type)
    values = {
        "status": transfer.status,
        "method": spec.method,
        **phase_facts(course.timings.latency(), course.timings.phases()),
        **certificate_facts(course.certificate),
    }
    if spec.assertions:
        values |= {
            "ip": context.address,
            "protocol": status_line.partition(" ")[0] or None,
            "body.size": len(transfer.body),
            "redirects.count": len(course.visited) - 1,
            "redirects.url": course.visited[-1] if len(course.visited) > 1 else None,
        }
    return Facts(values, headers, text, transfer.complete)


def needs_body(spec: HttpMonitor) -> bool:
    """Whether all of the body is looked at, not just enough of it for evidence."""
    if spec.expected_text is not None or spec.forbidden_text is not None:
        return True
    return any(assertion.subject.startswith("body") for assertion in spec.assertions)


def needs_headers(spec: HttpMonitor) -> bool:
    return bool(spec.assertions) or needs_body(spec)


def _without(secrets: tuple[str, ...], results: tuple[AssertionResult, ...]) -> tuple[AssertionResult, ...]:
    """Header values that sound secret read as a mask, known secrets wherever they occur."""
    return tuple(_masked(secrets, result) for result in results) if results else results


def _masked(secrets: tuple[str, ...], result: AssertionResult) -> AssertionResult:
    if result.seen is None:
        return result
    is_secret = result.subject.startswith(HEADER_PREFIX) and is_secret_header(result.subject)
    seen = MASK if is_secret else evidence.without(secrets, result.seen)
    return result if seen == result.seen else result.model_copy(update={"seen": seen})


def _failed(
    spec: HttpMonitor,
    context: ProbeContext,
    course: _Course,
    error_class: ErrorClass,
    sentence: str,
    assertions: tuple[AssertionResult, ...] = (),
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
        assertions=_without(secrets, assertions),
        certificate=course.certificate,
        evidence=seen,
    )
