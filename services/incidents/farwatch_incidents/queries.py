"""The SQL of the fold, each with a line of why."""

from farwatch_incidents.rules.config import PUSH_FIELDS, SPEC_FIELDS

# First in the transaction: the row locks keep a second fold out, and either count tells that somebody else was here.
# Heartbeats move the clock every 2 s, also while a backlog is read: where it jumps, there was nobody to see anything.
ADVANCE = """
    with dark as (
        insert into health.dark_spans (starts_at, ends_at)
        select to_timestamp(now_ms / 1000.0), to_timestamp($2::bigint / 1000.0) from health.shards
        where shard = '0' and epoch = $1 and now_ms > 0 and $2 - now_ms > 60000
        on conflict do nothing
    ), fence as (
        update health.shards set now_ms = $2, push_clock_ms = $3, next_incident_id = $4
        where shard = '0' and epoch = $1 returning 1
    ), moved as (
        update health.offsets o set last_sequence = v.last
        from unnest($5::text[], $6::bigint[], $7::bigint[]) as v (stream, old, last)
        where o.stream = v.stream and o.last_sequence = v.old returning 1
    )
    select (select count(*) from fence) as fences, (select count(*) from moved) as streams
"""

TAKE_EPOCH = """
    update health.shards set epoch = epoch + 1 where shard = '0'
    returning epoch, now_ms, push_clock_ms, next_incident_id
"""

# A stream that is new, was made again, or lost its tail: what we knew of its numbering is void.
# Under the epoch, so that a fold that was overtaken cannot move it.
SET_OFFSET = """
    insert into health.offsets (stream, last_sequence, stream_created)
    select $1, $2, $3 from health.shards where shard = '0' and epoch = $4
    on conflict (stream) do update set last_sequence = excluded.last_sequence, stream_created = excluded.stream_created
"""

OFFSETS = "select stream, last_sequence, stream_created from health.offsets"

# A change without a result (asked for a confirmation, paused) keeps the last check that stands there. JSON lists come
# wrapped as {"v": [...]}, since the driver takes a list in an array for a nested array.
UPSERT_LOCAL = """
    insert into health.monitor_state as s (monitor_id, region, vote, vote_slot, state, last_check)
    select monitor_id, region, vote, vote_slot, state -> 'v', last_check
    from unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::jsonb[], $6::jsonb[])
        as n (monitor_id, region, vote, vote_slot, state, last_check)
    on conflict (monitor_id, region) do update set vote = excluded.vote, vote_slot = excluded.vote_slot,
        state = excluded.state, last_check = coalesce(excluded.last_check, s.last_check)
"""

UPSERT_VERDICTS = """
    insert into health.verdicts (monitor_id, verdict, since, reason, rule, votes, incident_id, flapping, state)
    select monitor_id, verdict, since, reason, rule, votes -> 'v', incident_id, flapping, state
    from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::jsonb[], $7::bigint[],
        $8::boolean[], $9::jsonb[])
        as n (monitor_id, verdict, since, reason, rule, votes, incident_id, flapping, state)
    on conflict (monitor_id) do update set verdict = excluded.verdict, since = excluded.since,
        reason = excluded.reason, rule = excluded.rule, votes = excluded.votes, incident_id = excluded.incident_id,
        flapping = excluded.flapping, state = excluded.state
"""

# Two changes in one millisecond leave the later one: no time passed in the other.
INSERT_VERDICT_CHANGES = """
    insert into health.verdict_changes (monitor_id, at, verdict, reason)
    select * from unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[])
    on conflict (monitor_id, at) do update set verdict = excluded.verdict, reason = excluded.reason
"""

# Arrays in arrays and json null have no place in unnest: lists and evidence travel in one object.
UPSERT_INCIDENTS = """
    insert into health.incidents (id, monitor_id, monitor_name, state, severity, opened_at, acknowledged_at,
        acknowledged_by, resolved_at, how_resolved, error_class, error, reason, regions, votes, evidence, suppressed,
        group_id, group_by, group_key)
    select id, monitor_id, monitor_name, state, severity, opened_at, acknowledged_at, acknowledged_by, resolved_at,
        how_resolved, error_class, error, reason, array(select jsonb_array_elements_text(more -> 'regions')),
        more -> 'votes', nullif(more -> 'evidence', 'null'), suppressed, group_id, group_by, group_key
    from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[],
        $8::text[], $9::timestamptz[], $10::text[], $11::text[], $12::text[], $13::text[], $14::jsonb[], $15::text[],
        $16::bigint[], $17::text[], $18::text[])
        as n (id, monitor_id, monitor_name, state, severity, opened_at, acknowledged_at, acknowledged_by, resolved_at,
            how_resolved, error_class, error, reason, more, suppressed, group_id, group_by, group_key)
    order by id
    on conflict (id) do update set state = excluded.state, severity = excluded.severity,
        acknowledged_at = excluded.acknowledged_at, acknowledged_by = excluded.acknowledged_by,
        resolved_at = excluded.resolved_at, how_resolved = excluded.how_resolved,
        error_class = excluded.error_class, error = excluded.error, reason = excluded.reason,
        regions = excluded.regions, votes = excluded.votes, evidence = excluded.evidence,
        suppressed = excluded.suppressed, group_id = excluded.group_id, group_by = excluded.group_by,
        group_key = excluded.group_key
"""

INSERT_LINES = """
    insert into health.incident_timeline (incident_id, seq, at, kind, sentence, actor, data, event_id)
    select * from unnest($1::bigint[], $2::int[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::jsonb[],
        $8::uuid[])
"""

UPSERT_REGIONS = """
    insert into health.regions (region, state, reason, since, last_heartbeat_at, watermark_ms)
    select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[])
    on conflict (region) do update set state = excluded.state, reason = excluded.reason, since = excluded.since,
        last_heartbeat_at = excluded.last_heartbeat_at, watermark_ms = excluded.watermark_ms
"""

UPSERT_PROBERS = """
    insert into health.probers (region, prober, software, healthy, reason, in_flight, capacity, checks_per_second,
        loop_lag_ms, started_at, last_seen_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    on conflict (region, prober) do update set software = excluded.software, healthy = excluded.healthy,
        reason = excluded.reason, in_flight = excluded.in_flight, capacity = excluded.capacity,
        checks_per_second = excluded.checks_per_second, loop_lag_ms = excluded.loop_lag_ms,
        started_at = excluded.started_at, last_seen_at = excluded.last_seen_at
"""

INSERT_PARKED = """
    insert into health.parked (source, sequence, arrived_at, reason, data)
    select * from unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::text[], $5::bytea[])
    on conflict do nothing
"""

# Garbage must not fill the disk: the newest thousand are enough to look at.
FORGET_PARKED = """
    delete from health.parked where id <= (select id from health.parked order by id desc offset 1000 limit 1)
"""

# An hour that is rolled up already is computed again; one that is not yet takes no notice.
MARK_HOURS = """
    insert into health.rollup_progress (period, at, dirty) select 'hour', at, true from unnest($1::timestamptz[]) as at
    on conflict (period, at) do update set dirty = true where not rollup_progress.dirty
"""

FORGET_MONITORS = """
    with gone as (delete from health.verdicts where monitor_id = any($1::bigint[]))
    delete from health.monitor_state where monitor_id = any($1::bigint[])
"""

FORGET_REGIONS = """
    with gone as (delete from health.regions where region = any($1::text[]))
    delete from health.probers where region = any($1::text[])
"""

REGISTER_REGION = "insert into config.regions (name) values ($1) on conflict (name) do nothing"

REGIONS = "select name, enabled from config.regions"

# As an array, since a cast that fails on one odd monitor would hide all others.
_MONITOR = f"""
    select id, jsonb_build_array({", ".join(f"spec -> '{name}'" for name in SPEC_FIELDS)}, case when type = 'push'
        then jsonb_build_object({", ".join(f"'{name}', spec -> '{name}'" for name in PUSH_FIELDS)}) end) as spec,
        config_version,
        enabled, deleted_at is null as alive
    from config.monitors
"""  # noqa: S608
MONITORS = _MONITOR + " where deleted_at is null or id in (select monitor_id from health.verdicts)"  # noqa: S608
MONITORS_BY_ID = _MONITOR + " where id = any($1::bigint[])"

# Cancelled windows end when they were cancelled; those long over concern nobody. Of a series the row has one
# occurrence, while every one since the series began counts: whoever moves the row on may be late.
WINDOWS = """
    select id, name, all_monitors, monitor_ids, tags, weekly, starts_at,
        case when weekly is null then least(ends_at, cancelled_at)
             else least(coalesce(until, 'infinity'), cancelled_at) end as ends_at
    from config.maintenance
    where case when weekly is null then least(ends_at, cancelled_at)
               else least(coalesce(until, 'infinity'), cancelled_at) end > $1
"""

DARK_SPANS = "select starts_at, ends_at from health.dark_spans order by starts_at desc limit 64"

LOCAL_STATES = "select monitor_id, region, vote, vote_slot, state from health.monitor_state"

VERDICTS = "select monitor_id, verdict, since, reason, rule, votes, flapping, state from health.verdicts"

_INCIDENTS = """
    select i.*, coalesce(t.entries, 0) as entries, coalesce(t.last_at, i.opened_at) as last_at
    from health.incidents i left join lateral (
        select max(seq) as entries, max(at) as last_at from health.incident_timeline where incident_id = i.id
    ) t on true
"""
OPEN_INCIDENTS = _INCIDENTS + " where i.state <> 'resolved'"
INCIDENT = _INCIDENTS + " where i.id = $1"

HEALTH_REGIONS = "select region, state, reason, since, last_heartbeat_at, watermark_ms from health.regions"
