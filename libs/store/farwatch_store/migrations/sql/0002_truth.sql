-- Recurring maintenance, grouped incidents, parked messages.

-- weekly: farwatch_events.maintenance.Weekly, null for a one-off window. A recurring one has its current or next
-- occurrence in starts_at and ends_at, so that readers need to know nothing; `until` is when the series ends. An
-- occurrence that is over stays as a row of its own, with the recurring one's id in series_id.
alter table config.maintenance
    add column weekly jsonb,
    add column until timestamptz,
    add column series_id bigint references config.maintenance on delete cascade;
create index maintenance_recurring on config.maintenance (ends_at) where weekly is not null and cancelled_at is null;

-- Incidents that share what broke have the id of the first of them in group_id, the first one too.
alter table health.incidents
    add column group_id bigint,
    add column group_by text,
    add column group_key text;
create index incidents_group on health.incidents (group_id) where group_id is not null;

-- Messages that the fold could not take, for looking at; the newest thousand are kept.
create table health.parked (
    id bigint generated always as identity primary key,
    source text not null,
    sequence bigint not null,
    arrived_at timestamptz not null,
    parked_at timestamptz not null default now(),
    reason text not null,
    data bytea not null,
    unique (source, sequence, arrived_at)
);

do $$
begin
    grant select on health.parked to farwatch_api, farwatch_scheduler, farwatch_notifier;
    grant select, insert, update, delete on health.parked to farwatch_incidents;
exception when undefined_object or insufficient_privilege then
    raise notice 'no roles of the services: all use the rights of %', current_user;
end $$;
