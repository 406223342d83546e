"""Every setting of the whole project, by name: the source of docs/configuration.md and the check for typos."""

DESCRIPTIONS: dict[str, str] = {
    # Connections
    "FARWATCH_NATS_URL": "NATS server, or several separated by commas, such as nats://127.0.0.1:4222.",
    "FARWATCH_NATS_USER": "User name for NATS.",
    "FARWATCH_NATS_PASSWORD": "Password for NATS.",
    "FARWATCH_NATS_DOMAIN": "JetStream domain to ask; needed only behind a leaf node (then `hub`).",
    "FARWATCH_NATS_CA_FILE": "Certificate authority (PEM file) that signed the certificate of the NATS server.",
    "FARWATCH_NATS_CERT_FILE": "Client certificate (PEM file) for NATS.",
    "FARWATCH_NATS_KEY_FILE": "Key of the client certificate (PEM file) for NATS.",
    "FARWATCH_NATS_SYNC": "When the embedded NATS syncs to disk: a duration such as 1s, or always.",
    "FARWATCH_DATABASE_URL": "PostgreSQL 17 or later, postgresql://user:password@host/database.",
    "FARWATCH_DATABASE_POOL_SIZE": "Most connections to PostgreSQL a service opens.",
    # Secrets and access
    "FARWATCH_SECRET_KEY_FILE": "File with the keys for secrets of monitors and channels; first encrypts, all decrypt.",
    "FARWATCH_ADMIN_EMAIL": "Creates the first administrator, together with FARWATCH_ADMIN_PASSWORD.",
    "FARWATCH_ADMIN_PASSWORD": "Password of the administrator that FARWATCH_ADMIN_EMAIL creates.",
    "FARWATCH_API_TOKEN": "Accepted as an administrator's bearer token; 32 characters or more.",
    "FARWATCH_METRICS_TOKEN": "Bearer token for /metrics from anywhere but loopback.",
    "FARWATCH_SESSION_DAYS": "Days until a sign-in ends by itself.",
    # Web
    "FARWATCH_HOST": "Address the dashboard and the API listen on.",
    "FARWATCH_PORT": "Port the dashboard and the API listen on; 0 picks a free one.",
    "FARWATCH_PUBLIC_URL": "How people reach the dashboard; used in links of messages.",
    "FARWATCH_TRUSTED_PROXIES": "Networks whose X-Forwarded-* headers are believed, separated by commas.",
    # farwatch up and the other commands
    "FARWATCH_URL": "Where the commands find Farwatch; by default the `farwatch up` of this account.",
    "FARWATCH_SETUP_LINK_FILE": "File the api writes the one-time set-up link to while nobody has an account.",
    "FARWATCH_DATA_DIR": "Folder of `farwatch up` for the embedded servers, keys and credentials.",
    "FARWATCH_PROBERS": "Probers that `farwatch up` starts in each region.",
    "FARWATCH_REGION": "Region of this prober, [a-z0-9-]{1,32}; for `farwatch up` a list separated by commas.",
    # Probes
    "FARWATCH_RESOLVERS": "DNS servers for probes, host or host:port, separated by commas; default from resolv.conf.",
    "FARWATCH_CA_FILE": "Certificate authorities (PEM file) that probes and channels trust beside the system's.",
    "FARWATCH_PROBE_SOURCE_ADDRESS": "Local address that probes connect from.",
    "FARWATCH_PROBE_DENY": "Networks and servers (host:port) that probes must not reach, separated by commas.",
    "FARWATCH_PROBE_ALLOW": "Networks that probes may reach although FARWATCH_PROBE_DENY holds them.",
    "FARWATCH_CANARIES": "Addresses the prober checks itself against, separated by commas; `off` disables.",
    "FARWATCH_MAX_CONCURRENCY": "Checks that one prober runs at the same time.",
    # Retention
    "FARWATCH_KEEP_RAW_DAYS": "Days that single results are kept.",
    "FARWATCH_KEEP_HOURLY_DAYS": "Days that hourly rollups are kept.",
    "FARWATCH_KEEP_DAILY_DAYS": "Days that daily rollups are kept.",
    "FARWATCH_KEEP_DELIVERIES_DAYS": "Days that sent and failed messages are kept, with the answers received.",
    # Logs, health, metrics
    "FARWATCH_CANARY_PUSH_URL": "Called once a minute while checks come through: a dead man's switch elsewhere.",
    "FARWATCH_LOG_LEVEL": "debug, info, warning or error.",
    "FARWATCH_LOG_FORMAT": "console for people, json for machines.",
    "FARWATCH_HEALTH_HOST": "Address of /healthz, /readyz and /metrics of each service.",
    "FARWATCH_HEALTH_PORT": "Port of /healthz, /readyz and /metrics; 0 picks a free one, -1 turns them off.",
}

KNOWN: frozenset[str] = frozenset(DESCRIPTIONS)
