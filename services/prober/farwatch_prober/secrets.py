"""Secrets of a specification in the clear, just before a check uses them and nowhere else."""

from collections.abc import Mapping

from pydantic import ValidationError

from farwatch_events.masking import SECRET_FIELDS, map_secrets
from farwatch_events.monitor import MonitorSpec, dump_monitor, parse_monitor
from farwatch_events.requests import is_secret_header
from farwatch_events.results import ErrorClass
from farwatch_prober.outcome import ProbeFailure
from farwatch_runtime.secrets import SecretBox, SecretError

_MAY_BE_SECRET = ("auth", *SECRET_FIELDS)


class Revealer:
    def __init__(self, box: SecretBox | None) -> None:
        self._box = box

    def reveal(self, spec: MonitorSpec) -> MonitorSpec:
        """The specification with its secrets decrypted. Raises ProbeFailure (internal), which holds none of them."""
        if not may_hold_secrets(spec):
            return spec
        try:
            return parse_monitor(map_secrets(dump_monitor(spec), self._decrypt))
        except SecretError as error:
            why = str(error)
        except ValidationError:
            why = "the decrypted values do not make a valid monitor"
        raise ProbeFailure(ErrorClass.INTERNAL, f"The monitor's secrets cannot be read: {why}") from None

    def _decrypt(self, value: str) -> str:
        if not SecretBox.is_encrypted(value):
            return value
        if self._box is None:
            raise SecretError("this prober has no FARWATCH_SECRET_KEY_FILE")
        return self._box.decrypt(value)


def may_hold_secrets(spec: MonitorSpec) -> bool:
    """Asked for each check, so without a generator, which would take twice as long."""
    values = spec.__dict__
    for field in _MAY_BE_SECRET:
        if values.get(field):
            return True
    headers: Mapping[str, str] = values.get("headers") or {}
    return bool(headers) and any(is_secret_header(name) for name in headers)
