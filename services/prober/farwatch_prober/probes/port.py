"""port: a TCP connection comes about, and who answers says what is expected."""

from farwatch_events.monitor import PortMonitor
from farwatch_events.results import Certificate, ErrorClass, Evidence
from farwatch_prober.classify import classify_connect
from farwatch_prober.context import ProbeContext
from farwatch_prober.conversation import Conversation, client_context
from farwatch_prober.dial import DialFault, dial
from farwatch_prober.evidence import BODY_CHARACTERS
from farwatch_prober.greetings import unescape
from farwatch_prober.judge import Judgement, certificate_facts, judge, outcome_of, phase_facts, rules_of
from farwatch_prober.outcome import Phases, ProbeFailure, ProbeOutcome, endpoint, failed, rounded
from farwatch_runtime.expectations import Facts


async def probe(spec: PortMonitor, context: ProbeContext) -> ProbeOutcome:
    addresses, dns_ms = await context.resolve(spec.host, spec.port, spec.ip_family)
    try:
        if _is_talked_to(spec):
            return await _converse(spec, context, addresses, dns_ms)
        connected = await dial(addresses, spec.port, context.require_time(), context.tools.source_address)
    except DialFault as fault:
        context.address = fault.address
        where = endpoint(fault.address, spec.port)
        error_class, sentence = classify_connect(fault.os_errno, where, context.timeout_seconds)
        return failed(error_class, sentence, phases=Phases(dns_ms=rounded(dns_ms)), address=fault.address)
    phases = Phases(dns_ms=rounded(dns_ms), connect_ms=rounded(connected.seconds * 1000))
    return _judged(spec, phases, connected.address)


def _is_talked_to(spec: PortMonitor) -> bool:
    if spec.starttls is not None or spec.send is not None or spec.expect is not None:
        return True
    return any(assertion.subject == "body" for assertion in spec.assertions)


async def _converse(
    spec: PortMonitor, context: ProbeContext, addresses: tuple[str, ...], dns_ms: float
) -> ProbeOutcome:
    talk = Conversation(spec.host, spec.port, context.timeout_seconds, context.deadline)
    async with talk:
        await talk.connect(addresses, context.tools.source_address)
        context.address = talk.address
        try:
            certificate = await _talk(spec, context, talk)
        except ProbeFailure as failure:
            return failed(
                failure.error_class,
                failure.sentence,
                phases=_phases(talk, dns_ms),
                address=talk.address,
                evidence=_evidence(talk),
            )
    return _judged(spec, _phases(talk, dns_ms), talk.address, certificate, talk)


async def _talk(spec: PortMonitor, context: ProbeContext, talk: Conversation) -> Certificate | None:
    """Raises ProbeFailure when the other side falls silent or hangs up first."""
    certificate = None
    if spec.starttls is not None:
        await talk.start_tls(spec.starttls, client_context(context.tools.authorities, verify=spec.verify_tls))
        certificate = talk.certificate(context.now_ms)
    if spec.send is not None:
        await talk.send(unescape(spec.send))
    if spec.expect is not None:
        expected = unescape(spec.expect)
        await talk.read_until(lambda seen: expected in seen)
    elif spec.send is not None or spec.starttls is None:
        await talk.read_until(bool)
    return certificate


def _phases(talk: Conversation, dns_ms: float) -> Phases:
    return Phases(
        dns_ms=rounded(dns_ms),
        connect_ms=rounded(talk.connect_seconds * 1000),
        tls_ms=None if talk.tls_seconds is None else rounded(talk.tls_seconds * 1000),
        wait_ms=None if talk.wait_seconds is None else rounded(talk.wait_seconds * 1000),
    )


def _evidence(talk: Conversation) -> Evidence:
    return Evidence(address=talk.address, body=talk.text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:BODY_CHARACTERS])


def _judged(
    spec: PortMonitor,
    phases: Phases,
    address: str,
    certificate: Certificate | None = None,
    talk: Conversation | None = None,
) -> ProbeOutcome:
    spent = (phases.dns_ms, phases.connect_ms, phases.tls_ms, phases.wait_ms)
    latency_ms = rounded(sum(part for part in spent if part is not None))
    warning_days = spec.certificate_warning_days if certificate else 0
    rules = rules_of(spec.assertions, spec.degraded_ms, warning_days)
    if not rules and talk is None:
        return ProbeOutcome("up", latency_ms, phases, address=address)
    facts = Facts(
        {**phase_facts(latency_ms, phases), **certificate_facts(certificate), "ip": address},
        text=talk.text if talk else "",
    )
    judgement = judge(rules, facts)
    if talk and spec.expect is not None and unescape(spec.expect) not in talk.received:
        sentence = f'"{spec.expect[:100]}" is missing from what {talk.where} sent'
        judgement = Judgement("down", ErrorClass.CONTENT, sentence, assertions=judgement.assertions)
    return outcome_of(
        judgement,
        latency_ms=latency_ms,
        phases=phases,
        address=address,
        certificate=certificate,
        evidence=_evidence(talk) if talk and judgement.outcome == "down" else None,
    )
