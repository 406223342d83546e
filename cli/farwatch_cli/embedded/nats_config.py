"""The configuration of the NATS server: users with their subjects, bounds, files. Pure text in, pure text out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from farwatch_bus import topology
from farwatch_events import subjects

SERVICES: Final = ("scheduler", "incidents", "notifier", "api")
MEGABYTE: Final = 1024 * 1024
_SPARE_BYTES: Final = 64 * MEGABYTE
_SPARE_REGIONS: Final = 4
"""Room for regions that register while the server runs. The bound takes no space until there is something to store."""


@dataclass(frozen=True)
class User:
    name: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def prober_user_name(region: str) -> str:
    return f"prober-{subjects.require_region(region)}"


def store_bytes(regions: Sequence[str]) -> int:
    """What all streams may hold together, some regions more than are known now included: JetStream refuses to make a
    stream beyond it."""
    streams = [topology.events_stream(), topology.leases_stream()]
    for region in {*regions, subjects.PUSH_REGION}:
        streams += topology.region_streams(region)
    later = sum(stream.max_bytes for stream in topology.region_streams(subjects.DEFAULT_REGION)) * _SPARE_REGIONS
    return sum(stream.max_bytes for stream in streams) + later + _SPARE_BYTES


def users(regions: Sequence[str]) -> list[User]:
    """One user a service, and one a region for its probers."""
    return [service_user(name) for name in SERVICES] + [prober_user(region) for region in sorted(set(regions))]


def service_user(name: str) -> User:
    publish = ["events.>", "live.>", "cmd.>", "$JS.API.>", "$JS.ACK.>", f"$KV.{subjects.LEASES_BUCKET}.>", "_INBOX.>"]
    if name == "scheduler":
        publish.append("checks.due.>")
    if name == "api":
        publish.append(subjects.results_filter(subjects.PUSH_REGION))
    return User(name, tuple(publish), ("events.>", "live.>", f"cmd.{name}.>", own_inboxes(name)))


def prober_user(region: str) -> User:
    """May take the due checks of its own region, answer with results of that region, and nothing else."""
    name = prober_user_name(region)
    checks, results = subjects.checks_stream(region), subjects.results_stream(region)
    publish = (
        subjects.results_filter(region),
        "live.check.>",
        subjects.REGISTER_REGION_COMMAND,
        f"$JS.API.STREAM.INFO.{checks}",
        f"$JS.API.STREAM.INFO.{results}",
        f"$JS.API.CONSUMER.INFO.{checks}.*",
        f"$JS.API.CONSUMER.MSG.NEXT.{checks}.*",
        f"$JS.ACK.{checks}.>",
        f"$JS.ACK.*.*.{checks}.>",
    )
    return User(name, publish, (own_inboxes(name),))


def own_inboxes(user: str) -> str:
    """Answers to one user's requests: with a common inbox a prober could read another region's checks."""
    return f"_INBOX.{user}.>"


def render(
    *,
    name: str,
    listen: str,
    http: str,
    store_dir: str,
    ports_dir: str,
    max_file_bytes: int,
    accounts: Mapping[User, str],
    sync_interval: str = "1s",
) -> str:
    """A whole configuration file. JSON is valid NATS configuration, so nothing has to be escaped by hand.

    `accounts` maps each user to the password; without any the server asks for none.
    """
    config: dict[str, Any] = {
        "server_name": name,
        "listen": listen,
        "http": http,
        "ports_file_dir": ports_dir,
        "max_payload": MEGABYTE,
        "write_deadline": "5s",
        "lame_duck_duration": "30s",
        "jetstream": {
            "store_dir": store_dir,
            "domain": subjects.JETSTREAM_DOMAIN,
            "max_memory_store": 64 * MEGABYTE,
            "max_file_store": max_file_bytes,
            "sync_interval": sync_interval,
        },
    }
    if accounts:
        config["authorization"] = {"users": [_user(user, password) for user, password in accounts.items()]}
    return json.dumps(config, indent=2) + "\n"


def _user(user: User, password: str) -> dict[str, Any]:
    permissions = {"publish": {"allow": list(user.publish)}, "subscribe": {"allow": list(user.subscribe)}}
    return {"user": user.name, "password": password, "permissions": permissions}
