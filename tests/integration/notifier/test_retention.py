"""Old messages go, with the rights of the service; what is still needed to tell of an end stays."""

from farwatch_notifier.retention import retain
from farwatch_store import Database
from tests.integration.notifier.world import World

_DELIVERY = """
    insert into alerting.deliveries (channel_id, moment, dedup_key, thread, incident_id, state, give_up_at, message,
        created_at) values (1, 'down', $1, $2, $3, $4, now(), '{}', now() - make_interval(days => $5)) returning id
"""
_ATTEMPT = "insert into alerting.delivery_attempts (delivery_id, attempt, at, ok) values ($1, 1, now(), true)"
_ITEM = "insert into alerting.delivery_items (delivery_id, position, thread, moment) values ($1, 1, $2, 'down')"


async def test_old_deliveries_go_and_what_is_needed_stays(world: World, database: Database, database_url: str) -> None:
    opened = await world.open_incident(await world.add_monitor())
    rows = {
        "old": ("incident-77", 77, "delivered", 100),
        "old-failed": ("incident-77", 77, "failed", 91),
        "young": ("incident-77", 77, "delivered", 89),
        "pending": ("incident-77", 77, "pending", 100),
        "of-an-open-incident": (f"incident-{opened}", opened, "delivered", 200),
        "grouped-with-an-open-incident": ("group-1", 77, "delivered", 200),
        "region-before": ("region-eu", None, "delivered", 300),
        "region-newest": ("region-eu", None, "delivered", 200),
    }
    for key, (thread, incident_id, state, age_days) in rows.items():
        found = await database.pool.fetchval(_DELIVERY, key, thread, incident_id, state, age_days)
        await database.pool.execute(_ATTEMPT, found)
        await database.pool.execute(_ITEM, found, f"incident-{opened}" if key.startswith("grouped") else thread)
    under_role = await Database.connect(database_url, "farwatch_notifier")
    try:
        assert await retain(under_role, 90) == 3
        assert await retain(under_role, 90) == 0
    finally:
        await under_role.close()
    kept = {row["dedup_key"] for row in await database.pool.fetch("select dedup_key from alerting.deliveries")}
    assert kept == set(rows) - {"old", "old-failed", "region-before"}
    assert await database.pool.fetchval("select count(*) from alerting.delivery_attempts") == len(kept)
