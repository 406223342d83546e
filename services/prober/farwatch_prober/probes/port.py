"""port: a TCP connection comes about."""

from farwatch_events.monitor import PortMonitor
from farwatch_events.results import Phases
from farwatch_prober.assertions import Facts
from farwatch_prober.classify import classify_connect
from farwatch_prober.context import ProbeContext
from farwatch_prober.dial import DialFault, dial
from farwatch_prober.judge import judge, outcome_of, phase_facts, rules_of
from farwatch_prober.outcome import ProbeOutcome, endpoint, failed


async def probe(spec: PortMonitor, context: ProbeContext) -> ProbeOutcome:
    addresses, dns_ms = await context.resolve(spec.host, spec.port, spec.ip_family)
    try:
        connected = await dial(addresses, spec.port, context.require_time(), context.tools.source_address)
    except DialFault as fault:
        context.address = fault.address
        where = endpoint(fault.address, spec.port)
        error_class, sentence = classify_connect(fault.os_errno, where, context.timeout_seconds)
        return failed(error_class, sentence, phases=Phases(dns_ms=round(dns_ms, 3)), address=fault.address)
    latency_ms = round(dns_ms + connected.seconds * 1000, 3)
    phases = Phases(dns_ms=round(dns_ms, 3), connect_ms=round(connected.seconds * 1000, 3))
    facts = Facts({**phase_facts(latency_ms, phases), "ip": connected.address})
    judgement = judge(rules_of(spec.assertions, spec.degraded_ms), facts)
    return outcome_of(judgement, latency_ms=latency_ms, phases=phases, address=connected.address)
