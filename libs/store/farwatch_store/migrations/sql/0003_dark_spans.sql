-- When nobody was looking at all: Farwatch, or the bus that everything goes over, was down. Uptime counts it as unknown.
create table health.dark_spans (
    starts_at timestamptz primary key,
    ends_at timestamptz not null check (ends_at > starts_at)
);

do $$
begin
    grant select on health.dark_spans to farwatch_api, farwatch_scheduler, farwatch_notifier;
    grant select, insert, update, delete on health.dark_spans to farwatch_incidents;
exception when undefined_object or insufficient_privilege then
    raise notice 'no roles of the services: all use the rights of %', current_user;
end $$;
