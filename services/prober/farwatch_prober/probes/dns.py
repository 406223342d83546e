"""dns: a name server has the records asked for."""

import time

from farwatch_events.monitor import DnsMonitor
from farwatch_events.results import ErrorClass, Evidence, Phases
from farwatch_prober import dnswire, names
from farwatch_prober.context import ProbeContext
from farwatch_prober.dnsvalues import question_name, values
from farwatch_prober.judge import judge_values, judge_warnings
from farwatch_prober.nameserver import ServerFault
from farwatch_prober.outcome import ProbeFailure, ProbeOutcome, endpoint, failed, in_words


async def probe(spec: DnsMonitor, context: ProbeContext) -> ProbeOutcome:
    record_type = dnswire.RECORD_TYPES[spec.record_type]
    name = question_name(spec.host, record_type)
    started = time.perf_counter()
    if spec.resolver is None:
        reply = await context.tools.resolver.ask(name, record_type, context.deadline)
    else:
        reply = await _ask_server(spec.resolver, name, record_type, context)
    took_ms = round((time.perf_counter() - started) * 1000, 3)
    return _judged(spec, context, reply, took_ms)


async def _ask_server(server: str, name: str, record_type: int, context: ProbeContext) -> dnswire.Reply:
    try:
        host, port = names.split_host_port(server, names.DNS_PORT)
    except ValueError as error:
        raise ProbeFailure(ErrorClass.DNS, f"resolver {error}") from None
    addresses, _ = await context.resolve(host, port, "any")
    where = endpoint(addresses[0], port)
    try:
        return await context.tools.resolver.ask_server(addresses[0], port, name, record_type, context.require_time())
    except ServerFault as fault:
        if fault.busy:
            raise ProbeFailure(ErrorClass.INTERNAL, f"{where} {fault}") from None
        if fault.timed_out:
            raise ProbeFailure(
                ErrorClass.TIMEOUT, f"{where} did not answer within {in_words(context.timeout_seconds)}"
            ) from None
        raise ProbeFailure(ErrorClass.UNREACHABLE, f"{where} {fault}") from None


def _judged(spec: DnsMonitor, context: ProbeContext, reply: dnswire.Reply, took_ms: float) -> ProbeOutcome:
    phases = Phases(dns_ms=took_ms)
    error_class, sentence, seen = _fault(spec, reply)
    if error_class is not None:
        notes = [f"answered {dnswire.rcode_name(reply.rcode)}" if reply.rcode else "answered NOERROR", *seen]
        return failed(
            error_class,
            sentence,
            latency_ms=took_ms,
            phases=phases,
            address=context.address,
            evidence=Evidence(address=context.address, notes=[note[:200] for note in notes[:8]]),
        )
    judgement = judge_warnings(took_ms, spec.degraded_ms)
    return ProbeOutcome(
        outcome=judgement.outcome,
        latency_ms=took_ms,
        phases=phases,
        address=context.address,
        reasons=judgement.reasons,
    )


def _fault(spec: DnsMonitor, reply: dnswire.Reply) -> tuple[ErrorClass | None, str, list[str]]:
    if reply.rcode == dnswire.NXDOMAIN:
        return ErrorClass.DNS, f"The name {spec.host} does not exist (NXDOMAIN)", []
    if reply.rcode != dnswire.NOERROR:
        return ErrorClass.DNS, f"The name server answered {dnswire.rcode_name(reply.rcode)} for {spec.host}", []
    try:
        seen = values(reply, dnswire.RECORD_TYPES[spec.record_type])
    except dnswire.BadMessage as error:
        return ErrorClass.PROTOCOL, f"The name server's answer cannot be read: {error}", []
    if not seen:
        return ErrorClass.DNS, f"{spec.host} has no {spec.record_type} record", []
    if (fault := judge_values(seen, spec.expected_values)) is not None:
        return ErrorClass.CONTENT, fault, seen
    return None, "", seen
