"""The records of a DNS answer as people write them. Pure."""

import dns.exception
import dns.message
import dns.name
import dns.rdatatype
import dns.reversename

from farwatch_prober.dnswire import AAAA, CNAME, PTR, A, BadMessage, Reply
from farwatch_prober.names import parse_literal, to_ascii


def question_name(host: str, record_type: int) -> str:
    """The name to ask for: for PTR an address turns into its reverse name. Raises ProbeFailure."""
    if record_type == PTR and (literal := parse_literal(host)) is not None:
        return dns.reversename.from_address(literal).to_text(omit_final_dot=True)
    return to_ascii(host).removesuffix(".")


def values(reply: Reply, record_type: int) -> list[str]:
    """Each record of the type, names without their final dot. Raises BadMessage."""
    if record_type in (A, AAAA):
        return list(reply.addresses)
    try:
        message = dns.message.from_wire(reply.wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError) as error:
        raise BadMessage(f"broken message: {type(error).__name__}") from None
    found = [record for group in message.answer if group.rdtype == record_type for record in group]
    kept = found[:1] if record_type == CNAME else found
    return [record.to_text(origin=None, relativize=False).removesuffix(".") for record in kept]
