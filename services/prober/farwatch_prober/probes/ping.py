"""ping: at least one of a few ICMP echo requests comes back."""

from itertools import pairwise

from farwatch_events.monitor import PingMonitor
from farwatch_events.results import ErrorClass, Evidence
from farwatch_prober.classify import classify_connect
from farwatch_prober.context import ProbeContext
from farwatch_prober.icmp import PingResult
from farwatch_prober.judge import judge, judge_loss, outcome_of, phase_facts, rules_of
from farwatch_prober.outcome import Phases, ProbeOutcome, failed, rounded
from farwatch_runtime.expectations import Facts


async def probe(spec: PingMonitor, context: ProbeContext) -> ProbeOutcome:
    addresses, dns_ms = await context.resolve(spec.host, None, spec.ip_family)
    timeout_seconds = context.require_time()
    try:
        result = await _ping_first(addresses, spec.packets, timeout_seconds, context)
    except OSError as error:
        error_class, sentence = classify_connect(error.errno or 0, addresses[0], timeout_seconds)
        return failed(error_class, sentence, phases=Phases(dns_ms=rounded(dns_ms)), address=addresses[0])
    return _judged(spec, context, result, dns_ms)


async def _ping_first(
    addresses: tuple[str, ...], packets: int, timeout_seconds: float, context: ProbeContext
) -> PingResult:
    """The first address of each family in turn shares the time, so that a dead IPv6 does not hide a live IPv4."""
    tried = list({":" in address: address for address in reversed(addresses)}.values())[::-1]
    result = PingResult()
    for number, address in enumerate(tried):
        context.address = address
        share = timeout_seconds / len(tried)
        try:
            result = await context.tools.pinger.ping(address, packets, share)
        except OSError:
            if number == len(tried) - 1:
                raise
            continue
        if result.received:
            break
    return result


def _judged(spec: PingMonitor, context: ProbeContext, result: PingResult, dns_ms: float) -> ProbeOutcome:
    if (silence := judge_loss(result.received, result.sent, context.timeout_seconds, spec.host)) is not None:
        return _silent(spec, context, result, dns_ms, silence)
    average_ms = sum(result.round_trips) / result.received * 1000
    latency_ms = rounded(dns_ms + average_ms)
    lost = result.sent - result.received
    phases = Phases(dns_ms=rounded(dns_ms), wait_ms=rounded(average_ms))
    rules = rules_of(spec.assertions, spec.degraded_ms)
    if not rules and not lost:
        return ProbeOutcome("up", latency_ms, phases, address=context.address)
    facts = Facts(
        {
            **phase_facts(latency_ms, phases),
            "packet_loss": round(100 * lost / result.sent, 1),
            "jitter": jitter_ms(result.round_trips),
            "ip": context.address,
        }
    )
    return outcome_of(
        judge(rules, facts),
        latency_ms=latency_ms,
        phases=phases,
        address=context.address,
        evidence=Evidence(address=context.address, notes=[f"{lost} of {result.sent} packets lost"]) if lost else None,
    )


def _silent(spec: PingMonitor, context: ProbeContext, result: PingResult, dns_ms: float, silence: str) -> ProbeOutcome:
    """Down whatever is expected: an assertion that forgives some loss does not speak of all of it."""
    phases = Phases(dns_ms=rounded(dns_ms))
    facts = Facts({**phase_facts(None, phases), "packet_loss": 100.0, "ip": context.address})
    judged = judge(rules_of(spec.assertions, None), facts)
    error_class = ErrorClass.UNREACHABLE if result.errors else ErrorClass.TIMEOUT
    sentence = f"{context.address} is unreachable: a router on the way says so" if result.errors else silence
    return failed(error_class, sentence, phases=phases, address=context.address, assertions=judged.assertions)


def jitter_ms(round_trips: list[float]) -> float | None:
    """The mean difference between one round trip and the next (RFC 3550 smooths the same); None for fewer than two."""
    if len(round_trips) < 2:
        return None
    steps = [abs(after - before) for before, after in pairwise(round_trips)]
    return rounded(sum(steps) / len(steps) * 1000)
