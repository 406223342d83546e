"""Certificates and keys that no handshake could use are refused where they are saved."""

from typing import Any

import pytest
import trustme

from farwatch_api.commands.specs import encrypted_dump, parse_spec, shown
from farwatch_api.problems import Invalid
from farwatch_events.masking import MASK
from farwatch_runtime.secrets import SecretBox

BOX = SecretBox.from_keys(["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="])
CA = trustme.CA()
ONE, OTHER = CA.issue_cert("one.test"), CA.issue_cert("other.test")
CERTIFICATE = ONE.cert_chain_pems[0].bytes().decode()
KEY = ONE.private_key_pem.bytes().decode()
BROKEN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"


def http(**fields: Any) -> dict[str, Any]:
    return {"type": "http", "name": "x", "url": "https://x.test/", **fields}


def test_a_pair_is_stored_with_its_key_encrypted_and_shown_masked() -> None:
    given = http(client_certificate=CERTIFICATE, client_key=KEY, proxy="socks5://p:1080", proxy_username="u",
                 proxy_password="s3cret")  # fmt: skip
    stored = encrypted_dump(parse_spec(given), BOX)
    assert "PRIVATE" not in str(stored)
    assert "s3cret" not in str(stored)
    read = shown(stored)
    assert (read["client_key"], read["proxy_password"], read["client_certificate"]) == (MASK, MASK, CERTIFICATE)
    assert encrypted_dump(parse_spec(read, stored), BOX) == stored, "an answer can be sent back as it is"


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"client_certificate": CERTIFICATE}, "client_key", "is needed"),
        ({"client_key": KEY}, "client_certificate", "is needed"),
        ({"client_certificate": KEY, "client_key": KEY}, "client_certificate", "certificates only"),
        ({"client_certificate": "x", "client_key": KEY}, "client_certificate", "PEM"),
        ({"client_certificate": CERTIFICATE, "client_key": "x"}, "client_key", "PEM"),
        ({"client_certificate": BROKEN, "client_key": KEY}, "client_certificate", "cannot be read"),
        ({"client_certificate": CERTIFICATE, "client_key": OTHER.private_key_pem.bytes().decode()}, "client_key",
         "is not the certificate's key"),
        ({"client_certificate": CERTIFICATE, "client_key": MASK}, "client_key", "never stored"),
        ({"client_certificate": CERTIFICATE, "client_key": "enc:v1:x"}, "client_key", "must not start with"),
        ({"ca_certificate": BROKEN}, "ca_certificate", "cannot be read"),
        ({"proxy": "ftp://a:1"}, "proxy", "must be http://host:port"),
        ({"proxy": "http://a"}, "proxy", "must be http://host:port"),
        ({"proxy": "http://u:p@a:1"}, "proxy", "proxy_username"),
        ({"proxy": "http://a:1/x"}, "proxy", "must end after the port"),
        ({"proxy_password": "x"}, "proxy", "is needed"),
        ({"json": {"a": 1}, "form": {"a": "1"}}, "form", "must not be given along with json"),
        ({"method": "HEAD", "expected_text": "x"}, "method", "must not be HEAD"),
        ({"json": ["x" * 70_000]}, "json", "at most 64 KiB"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_is(fields: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_spec(http(**fields))
    (problem,) = refused.value.problems
    assert (problem["field"], words in problem["message"]) == (field, True), problem
