"""A store with monitors, channels and incidents, as the other services would write them, and a view of deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.fernet import Fernet

from farwatch_events.channels import dump_channel, map_channel_secrets, parse_channel
from farwatch_events.events import Cause, DomainEvent, EventMeta, IncidentOpened, IncidentResolved, RecordedEvent
from farwatch_events.results import ErrorClass, Evidence
from farwatch_runtime.clock import now_ms
from farwatch_runtime.secrets import SecretBox
from farwatch_store import Database, append
from tests.support.waiting import eventually

_ADD_INCIDENT = """
    insert into health.incidents (id, monitor_id, monitor_name, state, severity, opened_at, regions, suppressed)
    values ($1, $2, $3, 'open', $4, to_timestamp($5::double precision / 1000), $6, $7)
"""


@dataclass
class World:
    db: Database
    key: str = field(default_factory=lambda: Fernet.generate_key().decode())
    _incidents: int = 0

    @property
    def box(self) -> SecretBox:
        return SecretBox.from_keys([self.key])

    async def add_monitor(self, name: str = "Shop", channels: Sequence[int] = ()) -> int:
        spec = {"type": "http", "name": name, "url": "https://shop.example/", "channels": list(channels)}
        async with self.db.connection() as connection:
            query = "insert into config.monitors (name, type, spec) values ($1, 'http', $2) returning id"
            return int(await connection.fetchval(query, name, spec))

    async def add_channel(
        self, kind: str, config: dict[str, Any], moments: Sequence[str] = ("down", "up"), enabled: bool = True
    ) -> int:
        """Stored as the api stores it: checked, secrets encrypted."""
        stored = map_channel_secrets(kind, dump_channel(parse_channel(kind, config)), self.box.encrypt)
        async with self.db.connection() as connection:
            query = """
                insert into config.channels (name, type, enabled, config, moments) values ($1, $2, $3, $4, $5)
                returning id
            """
            return int(await connection.fetchval(query, f"{kind} channel", kind, enabled, stored, list(moments)))

    async def webhook(self, url: str, **fields: Any) -> int:
        return await self.add_channel("webhook", {"url": url, **fields})

    async def open_incident(
        self, monitor_id: int, name: str = "Shop", severity: Any = "down", suppressed: str | None = None, **fields: Any
    ) -> int:
        """The incident's row and its event in one transaction, as the fold writes them."""
        self._incidents += 1
        event = IncidentOpened(
            **{
                "at_ms": now_ms(),
                "incident_id": self._incidents,
                "monitor_id": monitor_id,
                "monitor_name": name,
                "severity": severity,
                "cause": Cause(error_class=ErrorClass.CONNECT_REFUSED, error="connection refused"),
                "regions": ["local"],
                "reason": "1 of 1 regions says down",
                "evidence": Evidence(status_line="HTTP/1.1 503 Service Unavailable", body="<b>sorry</b>"),
                "suppressed": suppressed,
                **fields,
            }
        )
        async with self.db.transaction() as connection:
            await connection.execute(
                _ADD_INCIDENT, self._incidents, monitor_id, name, severity, event.at_ms, event.regions, suppressed
            )
            await append(connection, event.stream, [event], EventMeta(actor="incidents"), None)
        return self._incidents

    async def resolve_incident(self, incident_id: int, monitor_id: int, how: Any = "recovered") -> None:
        event = IncidentResolved(
            at_ms=now_ms(),
            incident_id=incident_id,
            monitor_id=monitor_id,
            monitor_name="Shop",
            how=how,
            duration_seconds=9000,
            reason="1 of 1 regions says up",
        )
        async with self.db.transaction() as connection:
            query = "update health.incidents set state = 'resolved', resolved_at = $2, how_resolved = $3 where id = $1"
            await connection.execute(query, incident_id, datetime.fromtimestamp(event.at_ms / 1000, UTC), how)
            await append(connection, event.stream, [event], EventMeta(actor="incidents"), None)

    async def append(self, event: DomainEvent, meta: EventMeta | None = None) -> RecordedEvent:
        async with self.db.transaction() as connection:
            return (await append(connection, event.stream, [event], meta or EventMeta(actor="incidents"), None))[0]

    async def deliveries(self, channel_id: int | None = None) -> list[dict[str, Any]]:
        query = "select * from alerting.deliveries where $1::bigint is null or channel_id = $1 order by id"
        async with self.db.connection() as connection:
            return [dict(row) for row in await connection.fetch(query, channel_id)]

    async def attempts(self, delivery_id: int) -> list[dict[str, Any]]:
        query = "select * from alerting.delivery_attempts where delivery_id = $1 order by attempt"
        async with self.db.connection() as connection:
            return [dict(row) for row in await connection.fetch(query, delivery_id)]

    async def events(self, event_type: str) -> list[dict[str, Any]]:
        query = "select data from log.events where type = $1 order by position"
        async with self.db.connection() as connection:
            return [row["data"] for row in await connection.fetch(query, event_type)]

    async def settled(self, count: int, timeout_seconds: float = 10.0) -> list[dict[str, Any]]:
        """Waits until there are `count` deliveries and none is pending."""

        async def done() -> list[dict[str, Any]] | None:
            found = await self.deliveries()
            return found if len(found) >= count and all(row["state"] != "pending" for row in found) else None

        await eventually(done, timeout_seconds)
        return await self.deliveries()
