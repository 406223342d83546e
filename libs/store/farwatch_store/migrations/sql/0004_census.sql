-- The list of monitors shows those that are not up first and the rest by name: neither sorts all of them.
create index verdicts_not_up on health.verdicts (monitor_id) where verdict <> 'up';
create index monitors_paused on config.monitors (id) where deleted_at is null and not enabled;
create index monitors_by_name on config.monitors (lower(name), id) where deleted_at is null;
