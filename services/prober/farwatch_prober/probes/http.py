"""http: a request, its redirects, and what the answer must be."""

from dataclasses import dataclass, field

from farwatch_events.assertions import HEADER_PREFIX
from farwatch_events.guard import Page
from farwatch_events.masking import MASK
from farwatch_events.monitor import HttpMonitor
from farwatch_events.requests import is_secret_header
from farwatch_events.results import AssertionResult, Certificate, ErrorClass, Evidence
from farwatch_prober import classify, evidence
from farwatch_prober.context import ProbeContext
from farwatch_prober.cookies import CookieJar
from farwatch_prober.curl import BODY_MAX_BYTES, CurlRequest, Transfer
from farwatch_prober.httprequest import Options, first_hop, header_lines, options_of, proxy_options, proxy_place
from farwatch_prober.judge import (
    Ordinary,
    certificate_facts,
    judge,
    ordinary_of_http,
    phase_facts,
    rules_of_http,
    status_words,
)
from farwatch_prober.names import parse_literal
from farwatch_prober.outcome import Phases, ProbeFailure, ProbeOutcome, failed
from farwatch_prober.pagefacts import page_facts
from farwatch_prober.perspec import PerSpec
from farwatch_prober.redirects import REDIRECTS, Hop, Target, next_hop, redirect_notes
from farwatch_prober.transfers import Timings, certificate_of, fault_of
from farwatch_runtime.expectations import Facts, Rule

BYTES_FOR_EVIDENCE = 4096


@dataclass(frozen=True, slots=True)
class _Plan:
    """What follows from the specification alone. `request` is the first one, None where a proxy has a part in it."""

    first: Hop
    request: CurlRequest | None
    rules: tuple[Rule, ...]
    ordinary: Ordinary | None
    reads_headers: bool
    reads_body: bool


def _plan(spec: HttpMonitor) -> _Plan:
    """Raises ProbeFailure for a URL that cannot be asked for."""
    first = first_hop(spec)
    return _Plan(
        first=first,
        request=None if spec.proxy is not None else _request_of(spec, first, first.target),
        rules=rules_of_http(spec),
        ordinary=ordinary_of_http(spec),
        reads_headers=needs_headers(spec),
        reads_body=needs_body(spec),
    )


_plan_of = PerSpec(_plan)


@dataclass(slots=True)
class _Course:
    """How far one try has come, over all its hops."""

    plan: _Plan
    timings: Timings = field(default_factory=Timings)
    certificate: Certificate | None = None
    transfer: Transfer | None = None
    targets: list[Target] = field(default_factory=list)
    cookies: CookieJar | None = None

    @property
    def visited(self) -> list[str]:
        return [target.url for target in self.targets]


async def probe(spec: HttpMonitor, context: ProbeContext) -> ProbeOutcome:
    course = _Course(_plan_of(spec))
    try:
        transfer = await _follow(spec, context, course)
    except ProbeFailure as failure:
        return _failed(spec, context, course, failure.error_class, failure.sentence)
    return _judged(spec, context, course, transfer)


async def _follow(spec: HttpMonitor, context: ProbeContext, course: _Course) -> Transfer:
    """The last answer of the chain. Raises ProbeFailure when there is none."""
    hop = course.plan.first
    while True:
        course.targets.append(hop.target)
        transfer = await _request(spec, context, course, hop)
        location = _location(spec, transfer)
        if location is None:
            return transfer
        if len(course.targets) > spec.max_redirects:
            raise ProbeFailure(ErrorClass.REDIRECT, _too_many(spec, course.visited))
        if course.cookies is None:
            course.cookies = CookieJar()
        course.cookies.take(hop.target, evidence.header_values(transfer.headers, "set-cookie"), context.now_ms)
        hop = next_hop(hop, transfer.status, location)


async def _request(spec: HttpMonitor, context: ProbeContext, course: _Course, hop: Hop) -> Transfer:
    request, addresses = await _route(spec, context, course, hop)
    transfer = await context.tools.curl.perform(request, addresses, context.require_time())
    course.transfer = transfer
    course.timings.add_transfer(transfer)
    context.address = transfer.address or addresses[0]
    course.certificate = certificate_of(transfer, context.now_ms) or course.certificate
    if transfer.code != classify.OK:
        raise ProbeFailure(*fault_of(request, addresses, transfer, context.timeout_seconds))
    return transfer


async def _route(
    spec: HttpMonitor, context: ProbeContext, course: _Course, hop: Hop
) -> tuple[CurlRequest, tuple[str, ...]]:
    """What to ask, and the addresses to dial. Raises ProbeFailure.

    Through a proxy its address is vetted, and the target's where it is written as one.
    """
    target, first = hop.target, course.targets[0]
    if spec.proxy is None:
        addresses, dns_ms = await context.resolve(target.host, target.port, spec.ip_family)
        course.timings.add_dns(dns_ms)
        if course.plan.request is not None and course.cookies is None:  # the first one
            return course.plan.request, addresses
        return _request_of(spec, hop, first, course.cookies), addresses
    if parse_literal(target.host) is not None:
        await context.resolve(target.host, target.port, "any")
    host, port = proxy_place(spec.proxy)
    addresses, dns_ms = await context.resolve(host, port, spec.ip_family)
    course.timings.add_dns(dns_ms)
    through = proxy_options(spec, addresses[0], port)
    return _request_of(spec, hop, first, course.cookies, through, port), addresses[:1]


def _request_of(
    spec: HttpMonitor,
    hop: Hop,
    first: Target,
    cookies: CookieJar | None = None,
    through: Options = (),
    proxy_port: int | None = None,
) -> CurlRequest:
    target = hop.target
    return CurlRequest(
        url=target.url,
        host=target.host,
        port=target.port,
        method=hop.method,
        headers=header_lines(hop.headers, "" if cookies is None else cookies.header(target)),
        body=hop.body,
        verify_tls=spec.verify_tls,
        is_tls=target.scheme == "https",
        keep_bytes=BODY_MAX_BYTES if needs_body(spec) else BYTES_FOR_EVIDENCE,
        options=options_of(spec, first, target) + through,
        proxy_port=proxy_port,
    )


def _location(spec: HttpMonitor, transfer: Transfer) -> str | None:
    if not spec.follow_redirects or transfer.status not in REDIRECTS:
        return None
    return evidence.header(transfer.headers, "location")


def _too_many(spec: HttpMonitor, visited: list[str]) -> str:
    if len(set(visited)) < len(visited):
        return f"The redirects go round in circles, back to {visited[-1][:200]}"
    limit = f"{spec.max_redirects} redirect{'' if spec.max_redirects == 1 else 's'}"
    return f"More than {limit}; the last answer came from {visited[-1][:200]}"


def _judged(spec: HttpMonitor, context: ProbeContext, course: _Course, transfer: Transfer) -> ProbeOutcome:
    latency_ms, phases = course.timings.latency(), course.timings.phases()
    ordinary = course.plan.ordinary
    if ordinary and len(course.targets) == 1 and ordinary.hold(transfer.status, latency_ms, course.certificate):
        return ProbeOutcome("up", latency_ms, phases, transfer.status, context.address, certificate=course.certificate)
    warnings, notes = redirect_notes(course.targets) if len(course.targets) > 1 else ((), ())
    facts = _facts(spec, context, course, transfer, phases)
    judgement = judge(course.plan.rules, facts, warnings)
    if judgement.error_class is not None:
        sentence = judgement.error or status_words(transfer.status)
        return _failed(spec, context, course, judgement.error_class, sentence, judgement.assertions)
    secrets = evidence.secrets_of(spec) if judgement.assertions else ()
    return ProbeOutcome(
        outcome=judgement.outcome,
        latency_ms=latency_ms,
        phases=phases,
        status_code=transfer.status,
        address=context.address,
        reasons=tuple(evidence.without(secrets, reason) for reason in judgement.reasons),
        assertions=_without(secrets, judgement.assertions),
        certificate=course.certificate,
        evidence=Evidence(address=context.address, notes=notes[-8:]) if notes else None,
        page=_page(spec, course, transfer, facts) if spec.content_guard else None,
    )


def _page(spec: HttpMonitor, course: _Course, transfer: Transfer, facts: Facts) -> Page:
    content_type = next((value for name, value in facts.headers if name.lower() == "content-type"), None)
    request = f"{spec.method} {spec.url}"
    return page_facts(facts.text, content_type, course.targets[-1].host, len(transfer.body), request)


def _facts(spec: HttpMonitor, context: ProbeContext, course: _Course, transfer: Transfer, phases: Phases) -> Facts:
    plan = course.plan
    status_line, headers = evidence.decode_headers(transfer.headers) if plan.reads_headers else ("", [])
    text = ""
    if plan.reads_body:
        content_type = next((value for name, value in headers if name.lower() == "content-type"), None)
        text = evidence.decode_body(transfer.body, content_type)
    values = {
        "status": transfer.status,
        "method": spec.method,
        **phase_facts(course.timings.latency(), phases),
        **certificate_facts(course.certificate),
    }
    if plan.reads_headers:
        values["protocol"] = status_line.partition(" ")[0] or None
    if spec.assertions:
        values |= {
            "ip": context.address,
            "body.size": len(transfer.body),
            "redirects.count": len(course.targets) - 1,
            "redirects.url": course.targets[-1].url if len(course.targets) > 1 else None,
        }
    return Facts(values, headers, text, transfer.complete)


def needs_body(spec: HttpMonitor) -> bool:
    """Whether all of the body is looked at, not just enough of it for evidence."""
    if spec.expected_text is not None or spec.forbidden_text is not None or spec.content_guard:
        return True
    return any(assertion.subject.startswith("body") for assertion in spec.assertions)


def needs_headers(spec: HttpMonitor) -> bool:
    return bool(spec.assertions) or spec.http_version == "2" or needs_body(spec)


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
