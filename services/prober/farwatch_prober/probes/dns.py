"""dns: a name server has the records asked for."""

import time

from farwatch_events.monitor import DnsMonitor
from farwatch_events.results import ErrorClass, Evidence
from farwatch_prober import dnswire, names
from farwatch_prober.context import ProbeContext
from farwatch_prober.dnsvalues import question_name, values
from farwatch_prober.judge import UP, Judgement, judge, judge_values, outcome_of, rules_of
from farwatch_prober.nameserver import ServerFault
from farwatch_prober.outcome import Phases, ProbeFailure, ProbeOutcome, endpoint, failed, in_words, rounded
from farwatch_runtime.expectations import Facts


async def probe(spec: DnsMonitor, context: ProbeContext) -> ProbeOutcome:
    record_type = dnswire.RECORD_TYPES[spec.record_type]
    name = question_name(spec.host, record_type)
    started = time.perf_counter()
    if (server := _chosen_server(spec, context)) is None:
        reply = await context.tools.resolver.ask(name, record_type, context.deadline)
    else:
        reply = await _ask_server(server, name, record_type, context, by_tcp=spec.transport == "tcp")
    took_ms = rounded((time.perf_counter() - started) * 1000)
    return _judged(spec, context, reply, took_ms)


def _chosen_server(spec: DnsMonitor, context: ProbeContext) -> str | None:
    """The server that is asked; None for the usual ones by UDP, each beside the other. Raises ProbeFailure."""
    if spec.resolver is not None or spec.transport == "udp":
        return spec.resolver
    servers = context.tools.resolver.servers()
    if not servers:
        raise ProbeFailure(ErrorClass.DNS, "No name server is configured")
    return repr(servers[0])


async def _ask_server(
    server: str, name: str, record_type: int, context: ProbeContext, *, by_tcp: bool
) -> dnswire.Reply:
    try:
        host, port = names.split_host_port(server, names.DNS_PORT)
    except ValueError as error:
        raise ProbeFailure(ErrorClass.DNS, f"resolver {error}") from None
    addresses, _ = await context.resolve(host, port, "any")
    where = endpoint(addresses[0], port)
    try:
        return await context.tools.resolver.ask_server(
            addresses[0], port, name, record_type, context.require_time(), by_tcp=by_tcp
        )
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
    code = dnswire.rcode_name(reply.rcode)
    try:
        seen = values(reply, dnswire.RECORD_TYPES[spec.record_type])
    except dnswire.BadMessage as error:
        return failed(
            ErrorClass.PROTOCOL,
            f"The name server's answer cannot be read: {error}",
            latency_ms=took_ms,
            phases=phases,
            address=context.address,
        )
    rules = rules_of(spec.assertions, spec.degraded_ms)
    facts = Facts({"latency": took_ms, "dns.rcode": code, "dns.values": seen, "dns.count": len(seen)})
    judgement = judge(rules, facts)
    if (fault := _fault(spec, code, seen)) is not None:
        judgement = Judgement("down", fault[0], fault[1], assertions=judgement.assertions)
    if judgement is UP:
        return ProbeOutcome("up", took_ms, phases, address=context.address)
    notes = [f"answered {code}", *seen]
    return outcome_of(
        judgement,
        latency_ms=took_ms,
        phases=phases,
        address=context.address,
        evidence=Evidence(address=context.address, notes=[note[:200] for note in notes[:8]])
        if judgement.outcome == "down"
        else None,
    )


def _fault(spec: DnsMonitor, code: str, seen: list[str]) -> tuple[ErrorClass, str] | None:
    """An assertion about the code or the values takes the place of what is expected without one."""
    own = {assertion.subject for assertion in spec.assertions}
    if code != spec.expected_rcode and not (spec.expected_rcode == "NOERROR" and "dns.rcode" in own):
        return ErrorClass.DNS, _code_words(spec, code)
    if code == "NOERROR" and not seen and not own & {"dns.rcode", "dns.values", "dns.count"}:
        return ErrorClass.DNS, f"{spec.host} has no {spec.record_type} record"
    if spec.expected_values and (fault := judge_values(seen, spec.expected_values)) is not None:
        return ErrorClass.CONTENT, fault
    return None


def _code_words(spec: DnsMonitor, code: str) -> str:
    if spec.expected_rcode != "NOERROR":
        return f"The name server answered {code} for {spec.host}; expected {spec.expected_rcode}"
    if code == "NXDOMAIN":
        return f"The name {spec.host} does not exist (NXDOMAIN)"
    return f"The name server answered {code} for {spec.host}"
