"""Certificates and keys of monitors are looked into when they are saved. Pure."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from farwatch_api.problems import Problem, problem
from farwatch_events.monitor import MonitorSpec
from farwatch_events.requests import ENCRYPTED_PREFIX


def unusable_certificates(spec: MonitorSpec) -> list[Problem]:
    """What no handshake could use: certificates and keys that cannot be read, or that do not belong together."""
    fields = ("client_certificate", "ca_certificate")
    problems = [problem(field, fault) for field in fields if (fault := _certificate_fault(getattr(spec, field, None)))]
    certificate, key = getattr(spec, "client_certificate", None), getattr(spec, "client_key", None)
    if problems or certificate is None or key is None or key.startswith(ENCRYPTED_PREFIX):
        return problems
    fault = _key_fault(key, certificate)
    return [problem("client_key", fault)] if fault else []


def _certificate_fault(pem: str | None) -> str | None:
    if pem is None:
        return None
    try:
        x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        return "cannot be read as certificates"
    return None


def _key_fault(key: str, certificate: str) -> str | None:
    try:
        public = serialization.load_pem_private_key(key.encode(), None).public_key()
        certified = x509.load_pem_x509_certificates(certificate.encode())[0].public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "cannot be read as a private key"
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return None if public.public_bytes(*form) == certified.public_bytes(*form) else "is not the certificate's key"
