"""tls: a handshake; the chain, the host name and the dates of the certificate must be good."""

import re

import pycurl

from farwatch_events.monitor import TlsMonitor
from farwatch_prober import classify, names
from farwatch_prober.context import ProbeContext
from farwatch_prober.curl import CurlRequest
from farwatch_prober.httprequest import Options, own_authorities
from farwatch_prober.judge import certificate_facts, judge, outcome_of, phase_facts, rules_of
from farwatch_prober.outcome import ProbeOutcome, failed
from farwatch_prober.transfers import Timings, certificate_of, fault_of
from farwatch_runtime.expectations import Facts

_AGREED = re.compile(rb"^SSL connection using (TLSv[0-9.]+)")


async def probe(spec: TlsMonitor, context: ProbeContext) -> ProbeOutcome:
    timings = Timings()
    addresses, dns_ms = await context.resolve(spec.host, spec.port, spec.ip_family)
    timings.add_dns(dns_ms)
    name = spec.server_name or spec.host
    host = name if names.parse_literal(name) else names.to_ascii(name)
    agreed = Agreed()
    request = CurlRequest(
        url=f"https://[{host}]:{spec.port}/" if ":" in host else f"https://{host}:{spec.port}/",
        host=host,
        port=spec.port,
        is_tls=True,
        handshake_only=True,
        options=_options(spec, agreed),
    )
    transfer = await context.tools.curl.perform(request, addresses, context.require_time())
    timings.add_transfer(transfer)
    context.address = transfer.address or addresses[0]
    certificate = certificate_of(transfer, context.now_ms)
    if transfer.code != classify.OK:
        error_class, sentence = fault_of(request, addresses, transfer, context.timeout_seconds)
        return failed(
            error_class,
            sentence,
            latency_ms=timings.latency(),
            phases=timings.phases(),
            address=context.address,
            certificate=certificate,
        )
    facts = Facts(
        {
            **phase_facts(timings.latency(), timings.phases()),
            **certificate_facts(certificate),
            "ip": context.address,
            "protocol": agreed.protocol,
        }
    )
    judgement = judge(rules_of(spec.assertions, spec.degraded_ms, spec.certificate_warning_days), facts)
    return outcome_of(
        judgement,
        latency_ms=timings.latency(),
        phases=timings.phases(),
        address=context.address,
        certificate=certificate,
    )


class Agreed:
    """What both ends agreed on: libcurl says it in its log alone, which is read only where somebody wants to know."""

    def __init__(self) -> None:
        self.protocol: str | None = None

    def note(self, kind: int, text: bytes) -> None:
        if kind == pycurl.INFOTYPE_TEXT and (found := _AGREED.search(text)):
            self.protocol = found[1].decode()


def _options(spec: TlsMonitor, agreed: Agreed) -> Options:
    floor: Options = ((pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_3),) if spec.min_version == "1.3" else ()
    asked = any(assertion.subject == "protocol" for assertion in spec.assertions)
    listening: Options = ((pycurl.DEBUGFUNCTION, agreed.note), (pycurl.VERBOSE, 1)) if asked else ()
    return floor + own_authorities(spec.ca_certificate) + listening
