"""Which services `farwatch up` runs and with which environment each: decided here, started elsewhere."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

CORE_SERVICES: Final = ("api", "scheduler", "incidents", "notifier")  # the slowest to start first
MODULES: Final = (*(f"farwatch_{name}" for name in CORE_SERVICES), "farwatch_prober")
_API_ONLY: Final = (
    "FARWATCH_ADMIN_EMAIL",
    "FARWATCH_ADMIN_PASSWORD",
    "FARWATCH_ADMIN_PASSWORD_FILE",
    "FARWATCH_API_TOKEN",
    "FARWATCH_API_TOKEN_FILE",
    "FARWATCH_SETUP_LINK_FILE",
)
_INCIDENTS_ONLY: Final = ("FARWATCH_CANARY_PUSH_URL", "FARWATCH_CANARY_PUSH_URL_FILE")
_NOT_FOR_PROBERS: Final = (*_API_ONLY, *_INCIDENTS_ONLY, "FARWATCH_DATABASE_URL", "FARWATCH_DATABASE_URL_FILE")


@dataclass(frozen=True)
class ServicePlan:
    """One process. `nats_user` is its user on the embedded server."""

    name: str
    module: str
    nats_user: str
    environ: dict[str, str]

    @property
    def argv(self) -> list[str]:
        return [sys.executable, "-m", self.module]


def plan_services(environ: Mapping[str, str], regions: Sequence[str], probers: int) -> list[ServicePlan]:
    """The core services and the probers of each region. A secret reaches only the services that need it."""
    plans = [_core(name, environ) for name in CORE_SERVICES]
    plans += [_prober(region, number, environ) for region in regions for number in range(1, probers + 1)]
    return [_with_health_port(plan, index) for index, plan in enumerate(plans)]


def server_of(database_url: str) -> str | None:
    """host:port of a PostgreSQL URL; None for a socket of the file system."""
    try:
        parts = urlsplit(database_url)
        host, port = parts.hostname, parts.port or 5432
    except ValueError:
        return None
    if not host or "%2f" in host.lower():
        return None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _core(name: str, environ: Mapping[str, str]) -> ServicePlan:
    hidden = {"FARWATCH_REGION"}
    hidden |= set() if name == "api" else set(_API_ONLY)
    hidden |= set() if name == "incidents" else set(_INCIDENTS_ONLY)
    return ServicePlan(name, f"farwatch_{name}", name, _without(environ, hidden))


def _prober(region: str, number: int, environ: Mapping[str, str]) -> ServicePlan:
    own = {**_without(environ, set(_NOT_FOR_PROBERS)), "FARWATCH_REGION": region}
    return ServicePlan(f"prober-{region}-{number}", "farwatch_prober", f"prober-{region}", own)


def _with_health_port(plan: ServicePlan, index: int) -> ServicePlan:
    """On one machine a fixed port can serve one process only: the others take those after it."""
    port = int(plan.environ.get("FARWATCH_HEALTH_PORT") or 0)
    if port <= 0:
        return plan
    return ServicePlan(
        plan.name, plan.module, plan.nats_user, {**plan.environ, "FARWATCH_HEALTH_PORT": str(port + index)}
    )


def _without(environ: Mapping[str, str], hidden: set[str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in hidden}
