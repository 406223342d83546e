"""dns checks: what is expected of the code and the values, and how the server is asked."""

import dns.rcode
import pytest

from tests.integration.prober.conftest import Check
from tests.integration.prober.misbehaving import DnsServer

RECORDS = {
    "www.test A": ["192.0.2.1", "192.0.2.2"],
    "www.test AAAA": ["2001:db8::1"],
    "www.test CNAME": ["edge.test."],
    "www.test MX": ["10 mx.test."],
    "www.test NS": ["ns1.test.", "ns2.test."],
    "www.test TXT": ['"v=spf1 -all"'],
    "www.test SRV": ["0 5 443 www.test."],
    "www.test SOA": ["www.test. SOA ns1.test. host.test. 7 2 3 4 5"],
    "www.test CAA": ['0 issue "ca.test"'],
    "1.2.0.192.in-addr.arpa PTR": ["www.test."],
}
VALUES = {
    "A": "192.0.2.2", "AAAA": "2001:db8::1", "CNAME": "edge.test", "MX": "10 mx.test", "NS": "ns2.test",
    "TXT": "v=spf1 -all", "SRV": "0 5 443 www.test", "SOA": "ns1.test. host.test. 7 2 3 4 5",
    "CAA": '0 issue "ca.test"', "PTR": "www.test",
}  # fmt: skip


@pytest.mark.parametrize("record_type", VALUES)
async def test_every_record_type(check: Check, name_server: DnsServer, record_type: str) -> None:
    name_server.records.update(RECORDS)
    host = "192.0.2.1" if record_type == "PTR" else "www.test"
    fields = {"type": "dns", "host": host, "record_type": record_type, "resolver": f"127.0.0.1:{name_server.port}"}
    result = await check(expected_values=[VALUES[record_type]], **fields)
    assert (result.outcome, result.error) == ("up", None)
    wanted = {"subject": "dns.values", "operator": "contains", "value": "absent.example"}
    result = await check(assertions=[wanted], **fields)
    assert result.error_class == "assertion"


@pytest.mark.parametrize("chosen", [True, False])
async def test_by_tcp(check: Check, name_server: DnsServer, chosen: bool) -> None:
    name_server.records.update(RECORDS)
    resolver = f"127.0.0.1:{name_server.port}" if chosen else None
    result = await check(type="dns", host="www.test", transport="tcp", resolver=resolver)
    assert (result.outcome, name_server.asked) == ("up", ["www.test A tcp"])


async def test_codes(check: Check, name_server: DnsServer) -> None:
    name_server.records.update(RECORDS | {"bad.test A": dns.rcode.REFUSED})
    fields = {"type": "dns", "resolver": f"127.0.0.1:{name_server.port}"}
    assert (await check(host="gone.test", expected_rcode="NXDOMAIN", **fields)).outcome == "up"
    assert (await check(host="bad.test", expected_rcode="REFUSED", **fields)).outcome == "up"
    result = await check(host="www.test", expected_rcode="NXDOMAIN", **fields)
    assert (result.error_class, result.error) == (
        "dns", "The name server answered NOERROR for www.test; expected NXDOMAIN",
    )  # fmt: skip
    either = {"subject": "dns.rcode", "operator": "one_of", "value": ["NXDOMAIN", "NOERROR"]}
    assert (await check(host="gone.test", assertions=[either], **fields)).outcome == "up"
    result = await check(host="bad.test", assertions=[either], **fields)
    assert result.error == "The name server's code is REFUSED; expected one of NXDOMAIN, NOERROR"


async def test_no_address_beyond_the_ones_known(check: Check, name_server: DnsServer) -> None:
    name_server.records.update(RECORDS)
    only = {"subject": "dns.values", "operator": "one_of", "value": ["192.0.2.1"], "severity": "degraded"}
    few = {"subject": "dns.count", "operator": "less_than", "value": 3}
    result = await check(type="dns", host="www.test", assertions=[only, few])
    assert (result.outcome, result.reasons) == (
        "degraded", ["The answer is 192.0.2.1, 192.0.2.2; expected one of 192.0.2.1"],
    )  # fmt: skip
