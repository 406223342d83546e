-- Farwatch, first schema. Schemas by owner: config and auth (api), schedule (scheduler), health (incidents),
-- alerting (notifier), log (every owner, through farwatch_store). Times are UTC; *_ms are milliseconds since 1970.

create schema log;
create schema config;
create schema auth;
create schema schedule;
create schema health;
create schema alerting;

-- log ------------------------------------------------------------------------------------------------------------

-- One row; its lock serialises appends, which is what makes positions gapless and commit order = position order.
create table log.head (
    one boolean primary key default true check (one),
    position bigint not null
);
insert into log.head (position) values (0);

create table log.events (
    position bigint primary key,
    id uuid not null unique,
    stream text not null,
    stream_version integer not null check (stream_version > 0),
    type text not null,
    version integer not null,
    data jsonb not null,
    meta jsonb not null,
    recorded_at timestamptz not null default now(),
    unique (stream, stream_version)
);
create index events_by_type on log.events (type, position);

-- How far each consumer of the log has come ("relay", "scheduler", "incidents", "notifier", "api").
create table log.positions (
    consumer text primary key,
    position bigint not null,
    updated_at timestamptz not null default now()
);

-- config ---------------------------------------------------------------------------------------------------------

-- spec: the whole flat monitor as farwatch_events.monitor dumps it, its secrets encrypted. Ids are never reused.
create table config.monitors (
    id bigint generated always as identity primary key,
    name text not null,
    type text not null,
    enabled boolean not null default true,
    spec jsonb not null,
    config_version integer not null default 1,
    tags text[] not null default '{}',
    push_token text unique,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz
);
create index monitors_live on config.monitors (id) where deleted_at is null;
create index monitors_tags on config.monitors using gin (tags) where deleted_at is null;

-- A region exists from the moment its first prober registers.
create table config.regions (
    name text primary key check (name ~ '^[a-z0-9-]{1,32}$'),
    enabled boolean not null default true,
    created_at timestamptz not null default now()
);

create table config.channels (
    id bigint generated always as identity primary key,
    name text not null,
    type text not null,
    enabled boolean not null default true,
    config jsonb not null,
    moments text[] not null default '{down,up}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz
);

-- A window concerns the monitors listed, those with one of the tags, or all when all_monitors is set.
create table config.maintenance (
    id bigint generated always as identity primary key,
    name text not null,
    all_monitors boolean not null default false,
    monitor_ids bigint[] not null default '{}',
    tags text[] not null default '{}',
    starts_at timestamptz not null,
    ends_at timestamptz not null check (ends_at > starts_at),
    created_at timestamptz not null default now(),
    cancelled_at timestamptz
);
create index maintenance_current on config.maintenance (ends_at) where cancelled_at is null;

-- spec: the whole policy as farwatch_events.policies dumps it.
create table config.policies (
    id bigint generated always as identity primary key,
    name text not null,
    enabled boolean not null default true,
    position integer not null default 100,
    spec jsonb not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz
);

-- match: farwatch_events.policies.Match; nobody is told of what fits while the silence lasts.
create table config.silences (
    id bigint generated always as identity primary key,
    match jsonb not null,
    reason text not null,
    created_by text not null,
    starts_at timestamptz not null default now(),
    ends_at timestamptz not null check (ends_at > starts_at),
    created_at timestamptz not null default now(),
    cancelled_at timestamptz
);
create index silences_current on config.silences (ends_at) where cancelled_at is null;

-- Fire drills: made-up outages, apart from health so that they count nowhere.
create table config.drills (
    id bigint generated always as identity primary key,
    monitor_id bigint not null,
    monitor_name text not null,
    severity text not null default 'down' check (severity in ('degraded', 'down')),
    started_by text not null,
    started_at timestamptz not null default now(),
    expires_at timestamptz not null,
    acknowledged_at timestamptz,
    acknowledged_by text,
    ended_at timestamptz
);
create unique index drills_one_running on config.drills (monitor_id) where ended_at is null;

-- Signed links that were used: each works once.
create table config.used_links (
    digest bytea primary key,
    used_at timestamptz not null default now()
);

create table config.settings (
    key text primary key,
    value jsonb not null,
    updated_at timestamptz not null default now()
);

-- auth -----------------------------------------------------------------------------------------------------------

create table auth.users (
    id bigint generated always as identity primary key,
    email text not null check (email = lower(email)),
    name text not null default '',
    password_hash text not null,
    role text not null default 'admin' check (role in ('admin', 'editor', 'viewer')),
    created_at timestamptz not null default now(),
    password_changed_at timestamptz not null default now(),
    disabled_at timestamptz
);
create unique index users_email on auth.users (email);

-- Only hashes of session ids, tokens and set-up links are stored: reading this schema signs nobody in.
create table auth.sessions (
    id_hash bytea primary key,
    user_id bigint not null references auth.users on delete cascade,
    csrf_token text not null,
    address text not null default '',
    user_agent text not null default '',
    created_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index sessions_user on auth.sessions (user_id);

create table auth.tokens (
    id bigint generated always as identity primary key,
    user_id bigint not null references auth.users on delete cascade,
    name text not null,
    token_hash bytea not null unique,
    prefix text not null,
    scope text not null check (scope in ('read', 'write')),
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz
);

create table auth.setup_links (
    token_hash bytea primary key,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz
);

-- Failed sign-ins by address and by account.
create table auth.throttle (
    key text primary key,
    failures integer not null,
    first_at timestamptz not null,
    blocked_until timestamptz
);

-- schedule -------------------------------------------------------------------------------------------------------

-- The fence: whoever takes the lease bumps the epoch here, and due checks and results carry it.
create table schedule.epoch (
    one boolean primary key default true check (one),
    epoch bigint not null,
    holder text not null default '',
    taken_at timestamptz,
    checkpoint_ms bigint not null default 0
);
insert into schedule.epoch (epoch) values (0);

-- health ---------------------------------------------------------------------------------------------------------

-- Partitioned by day, narrow, no unique index: the identity window in monitor_state keeps doubles out.
-- kind is null for scheduled; outcome is up, degraded, down or unknown; late_ms is start minus slot.
create table health.check_results (
    slot timestamptz not null,
    monitor_id bigint not null,
    latency_ms real,
    dns_ms real,
    connect_ms real,
    tls_ms real,
    wait_ms real,
    transfer_ms real,
    late_ms integer,
    status_code smallint,
    attempts smallint,
    region text not null,
    outcome text not null,
    kind text,
    error_class text,
    error text
) partition by range (slot);
create index check_results_monitor on health.check_results (monitor_id, slot);
-- Tells at once whether an hour has results at all; rows come in nearly in the order of their slots.
create index check_results_slot on health.check_results using brin (slot);

-- What the fold knows of one monitor in one region. `state` is the fold's own record, read back at start;
-- the other columns are for readers. last_check is the shape that the API answers.
create table health.monitor_state (
    monitor_id bigint not null,
    region text not null,
    vote text not null check (vote in ('up', 'degraded', 'down', 'unknown')),
    vote_slot timestamptz not null,
    state jsonb not null,
    last_check jsonb,
    primary key (monitor_id, region)
) with (fillfactor = 60);

create table health.verdicts (
    monitor_id bigint primary key,
    verdict text not null check (verdict in ('pending', 'up', 'degraded', 'down', 'unknown')),
    since timestamptz not null,
    reason text not null default '',
    rule text not null default '',
    votes jsonb not null default '[]',
    incident_id bigint,
    flapping boolean not null default false,
    state jsonb not null default '{}'
) with (fillfactor = 60);

-- Every verdict a monitor ever had, from event monitor.verdict_changed: uptime is the time between rows.
create table health.verdict_changes (
    monitor_id bigint not null,
    at timestamptz not null,
    verdict text not null,
    reason text not null default '',
    primary key (monitor_id, at)
);

create table health.incidents (
    id bigint primary key,
    monitor_id bigint not null,
    monitor_name text not null default '',
    state text not null check (state in ('open', 'acknowledged', 'resolved')),
    severity text not null check (severity in ('degraded', 'down')),
    opened_at timestamptz not null,
    acknowledged_at timestamptz,
    acknowledged_by text,
    resolved_at timestamptz,
    how_resolved text check (how_resolved in ('recovered', 'manual', 'paused', 'deleted')),
    error_class text,
    error text,
    reason text not null default '',
    regions text[] not null default '{}',
    votes jsonb not null default '[]',
    evidence jsonb,
    suppressed text,
    check ((state = 'resolved') = (resolved_at is not null))
);
create unique index incidents_one_unresolved on health.incidents (monitor_id) where state <> 'resolved';
create index incidents_by_monitor on health.incidents (monitor_id, id);

-- `sentence` is what people read; seq is gapless from 1.
create table health.incident_timeline (
    incident_id bigint not null references health.incidents on delete cascade,
    seq integer not null,
    at timestamptz not null,
    kind text not null,
    sentence text not null,
    actor text,
    data jsonb not null default '{}',
    event_id uuid,
    primary key (incident_id, seq)
);

-- Per RESULTS stream: what is folded in. `stream_created` tells a recreated stream from the one we knew.
create table health.offsets (
    stream text primary key,
    last_sequence bigint not null,
    stream_created text not null
);

-- The fence of the fold, and its clocks: now_ms is the JetStream time of the last batch; push_clock_ms counts only the
-- time in which the api was there to take pushes.
create table health.shards (
    shard text primary key,
    epoch bigint not null,
    now_ms bigint not null default 0,
    push_clock_ms bigint not null default 0,
    next_incident_id bigint not null default 1
);
insert into health.shards (shard, epoch) values ('0', 0);

create table health.regions (
    region text primary key,
    state text not null default 'live' check (state in ('live', 'silent', 'suspect')),
    reason text,
    since timestamptz not null default now(),
    last_heartbeat_at timestamptz,
    watermark_ms bigint not null default 0
);

create table health.probers (
    region text not null,
    prober text not null,
    software text not null default '',
    healthy boolean not null default true,
    reason text,
    in_flight integer not null default 0,
    capacity integer not null default 0,
    checks_per_second real not null default 0,
    loop_lag_ms real not null default 0,
    started_at timestamptz,
    last_seen_at timestamptz not null,
    primary key (region, prober)
);

-- Results of one monitor and region in one hour or day. `histogram` counts latencies in the fixed log buckets of
-- farwatch_events.histogram as pairs {{bucket,count},…}, so that percentiles merge; `phase_ms` are sums of dns, connect,
-- tls, wait, transfer over the results counted in latency_count.
create table health.rollup_hours (
    at timestamptz not null,
    monitor_id bigint not null,
    region text not null,
    up integer not null,
    degraded integer not null,
    down integer not null,
    unknown integer not null,
    latency_count integer not null,
    latency_sum_ms double precision not null,
    latency_max_ms real,
    histogram integer[] not null,
    phase_ms double precision[] not null,
    primary key (monitor_id, at, region)
);
create table health.rollup_days (like health.rollup_hours including all);

-- Seconds a monitor spent in each verdict in one hour or day: uptime and its coverage.
create table health.uptime_hours (
    at timestamptz not null,
    monitor_id bigint not null,
    up_seconds real not null default 0,
    degraded_seconds real not null default 0,
    down_seconds real not null default 0,
    unknown_seconds real not null default 0,
    maintenance_seconds real not null default 0,
    primary key (monitor_id, at)
);
create table health.uptime_days (like health.uptime_hours including all);

-- Which hours and days are rolled up; a late result marks its hour dirty and it is recomputed whole, then its day.
create table health.rollup_progress (
    period text not null check (period in ('hour', 'day')),
    at timestamptz not null,
    dirty boolean not null default false,
    rolled_at timestamptz,
    primary key (period, at)
);

-- alerting -------------------------------------------------------------------------------------------------------

-- Intent first: a row stands here before anything is sent. dedup_key travels as webhook-id in every retry.
-- Deliveries of one channel and thread ("incident-3", "monitor-7", "region-eu") are sent in the order of their ids.
create table alerting.deliveries (
    id bigint generated always as identity primary key,
    channel_id bigint not null,
    moment text not null,
    dedup_key text not null unique,
    thread text not null,
    monitor_id bigint,
    incident_id bigint,
    policy_id bigint,
    step integer,
    state text not null default 'pending' check (state in ('pending', 'delivered', 'failed', 'suppressed')),
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    give_up_at timestamptz not null,
    message jsonb not null,
    reason text,
    answer text,
    error text,
    created_at timestamptz not null default now(),
    delivered_at timestamptz
);
create index deliveries_due on alerting.deliveries (next_attempt_at) where state = 'pending';
create index deliveries_thread on alerting.deliveries (channel_id, thread, id) where state = 'pending';
create index deliveries_incident on alerting.deliveries (incident_id, id);
create index deliveries_channel on alerting.deliveries (channel_id, id);

-- What a delivery speaks of: the log position, the trouble ("incident-3", "drill-2", "monitor-7") and the moment told
-- of it. A message about many has one row for each. Moment "behind": named as being behind a parent that is down.
create table alerting.delivery_items (
    delivery_id bigint not null references alerting.deliveries on delete cascade,
    position bigint not null,
    thread text not null,
    moment text not null,
    primary key (delivery_id, position)
);
create index delivery_items_thread on alerting.delivery_items (thread, delivery_id);

-- Every attempt with the request (without secrets) and the answer.
create table alerting.delivery_attempts (
    delivery_id bigint not null references alerting.deliveries on delete cascade,
    attempt integer not null,
    at timestamptz not null,
    ok boolean not null,
    request text not null default '',
    answer text not null default '',
    error text,
    duration_ms real,
    primary key (delivery_id, attempt)
);

-- How far an open incident has come in a policy; `state` is farwatch_events.escalation.Escalation. due_at is null when
-- there is nothing to wait for, waits_for is the thread of the parent's incident whose end is waited for.
create table alerting.escalations (
    thread text not null,
    policy_id bigint not null,
    monitor_id bigint not null,
    incident_id bigint,
    event_id text not null,
    position bigint not null,
    state jsonb not null,
    due_at timestamptz,
    waits_for text,
    primary key (thread, policy_id)
);
create index escalations_due on alerting.escalations (due_at) where due_at is not null;
create index escalations_waiting on alerting.escalations (waits_for) where waits_for is not null;

-- Alerts that wait to be one message. flush_at is null when nothing waits.
create table alerting.groups (
    key text primary key,
    policy_id bigint not null,
    thread text not null,
    title text not null,
    interval_seconds integer not null,
    flush_at timestamptz,
    flushed_at timestamptz
);
create index groups_due on alerting.groups (flush_at) where flush_at is not null;

create table alerting.group_items (
    key text not null references alerting.groups on delete cascade,
    channel_id bigint not null,
    thread text not null,
    moment text not null,
    position bigint not null,
    event_id text not null,
    monitor_id bigint,
    incident_id bigint,
    name text not null,
    at_ms bigint not null,
    seconds integer,
    reason text not null,
    primary key (key, channel_id, thread, moment)
);

-- Until when a service asked not to be written to: a rate limit is about the channel, not the message that met it.
create table alerting.channel_holds (
    channel_id bigint primary key,
    until timestamptz not null
);

-- roles ----------------------------------------------------------------------------------------------------------

-- A NOLOGIN role a service, which it takes by SET ROLE. Without CREATEROLE the services keep the login's own rights.
do $$
declare
    service text;
begin
    foreach service in array array['farwatch_api', 'farwatch_scheduler', 'farwatch_incidents', 'farwatch_notifier'] loop
        if not exists (select from pg_roles where rolname = service) then
            begin
                execute format('create role %I nologin', service);
            exception when duplicate_object or unique_violation then
                null;  -- another database of this server was migrated at the same moment
            end;
        end if;
        if not pg_has_role(current_user, service, 'set') then
            execute format('grant %I to %I with set true, inherit true', service, current_user);
        end if;
    end loop;
exception when insufficient_privilege then
    raise notice 'no right to create roles: all services will use the rights of %', current_user;
end $$;

do $$
declare
    service text;
begin
    if (select count(*) from pg_roles where rolname in
            ('farwatch_api', 'farwatch_scheduler', 'farwatch_incidents', 'farwatch_notifier')
            and pg_has_role(current_user, oid, 'set')) < 4 then
        return;
    end if;
    foreach service in array array['farwatch_api', 'farwatch_scheduler', 'farwatch_incidents', 'farwatch_notifier'] loop
        execute format('grant usage on schema log, config, health to %I', service);
        execute format('grant select, insert on log.events to %I', service);
        execute format('grant select, update on log.head to %I', service);
        execute format('grant select, insert, update on log.positions to %I', service);
        execute format('grant select (id, name, type, enabled, spec, config_version, tags, created_at, updated_at, deleted_at) '
                       'on config.monitors to %I', service);
        execute format('grant select on config.regions, config.maintenance, config.settings, config.policies, '
                       'config.silences, config.drills to %I', service);
        execute format('grant select on all tables in schema health to %I', service);
    end loop;

    grant usage on schema auth, schedule, alerting to farwatch_api;
    grant select, insert, update, delete on all tables in schema config, auth to farwatch_api;
    grant usage on all sequences in schema config, auth to farwatch_api;
    grant select on all tables in schema schedule, alerting to farwatch_api;

    grant usage on schema schedule to farwatch_scheduler;
    grant select, insert, update on all tables in schema schedule to farwatch_scheduler;

    grant usage, create on schema health to farwatch_incidents;
    grant select, insert, update, delete on all tables in schema health to farwatch_incidents;
    grant insert, update on config.regions to farwatch_incidents;
    -- Only an owner may attach and drop partitions.
    alter table health.check_results owner to farwatch_incidents;
    alter default privileges for role farwatch_incidents in schema health grant select on tables to farwatch_api;

    grant usage on schema alerting to farwatch_notifier;
    grant select, insert, update, delete on all tables in schema alerting to farwatch_notifier;
    grant usage on all sequences in schema alerting to farwatch_notifier;
    grant select on config.channels to farwatch_notifier;
end $$;
