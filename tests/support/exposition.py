"""What a linter of Prometheus metrics complains of, by the rules that promtool applies to names and help."""

import re
from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

_BASE_UNITS = ("seconds", "bytes", "ratio", "celsius", "meters", "volts", "amperes", "joules", "grams")
_OTHER_UNITS = re.compile(
    r"(^|_)(ms|us|ns|millis|milliseconds|microseconds|nanoseconds|minutes|min|hours|days|weeks|sec|secs|kb|mb|gb"
    r"|kilobytes|megabytes|gigabytes|kib|mib|gib|bits|percent|percentage|fahrenheit|kelvin)(_|$)"
)
_FOREIGN = ("python_", "process_")
"""Made by the client library, whose names are what everybody's dashboards know."""


def complaints(text: str) -> list[str]:
    """One line each; none for a page that is clean."""
    return [complaint for family in text_string_to_metric_families(text) for complaint in _about(family, text)]


def _about(family: Metric, text: str) -> Iterator[str]:
    name, kind = family.name, family.type
    exposed = {sample.name for sample in family.samples}
    if not family.documentation:
        yield f"{name}: no help"
    if f"# TYPE {name}" not in text:
        yield f"{name}: no type"
    if name.startswith(_FOREIGN):
        return
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        yield f"{name}: not in snake case"
    if kind == "counter" and not all(each.endswith(("_total", "_created")) for each in exposed):
        yield f"{name}: a counter ends in _total"
    if kind == "gauge" and name.endswith(("_total", "_count", "_sum", "_bucket")):
        yield f"{name}: a gauge must not end so"
    if re.search(r"(^|_)(counter|gauge|histogram|summary)(_|$)", name):
        yield f"{name}: its type does not belong into the name"
    if _OTHER_UNITS.search(name):
        yield f"{name}: not a base unit"
    words = name.removesuffix("_created").removesuffix("_total").split("_")
    if any(word in _BASE_UNITS for word in words[:-1]):
        yield f"{name}: the unit comes last"
    for sample in family.samples:
        yield from _about_labels(sample.name, list(sample.labels), kind)


def _about_labels(name: str, labels: list[str], kind: str) -> Iterator[str]:
    for label in labels:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", label):
            yield f"{name}: label {label} is not in snake case"
        if label in ("le", "quantile") and kind not in ("histogram", "summary"):
            yield f"{name}: label {label} is for histograms"
