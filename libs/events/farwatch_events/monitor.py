"""The monitor specification: one flat object a monitor, one model a check type.

These models are the validation of the REST API, of `farwatch apply` and of what probers are sent: a
`pydantic.ValidationError` raised here names the field and the mend, and is shown to people as it is.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    TypeAdapter,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from farwatch_events.assertions import ASSERTIONS_MAX, CONNECTION, LATENCY, TLS, Assertion, Kind, fit_assertions
from farwatch_events.cron import CRON_MAX_CHARS, require_cron, require_zone, usual_interval_seconds
from farwatch_events.requests import (
    require_certificates,
    require_headers,
    require_key,
    require_proxy,
    require_web_address,
)
from farwatch_events.subjects import PUSH_REGION, REGION_PATTERN

DEFAULT_TIMEOUT_SECONDS = 10.0
BODY_MAX_BYTES = 64 * 1024
PEM_MAX_CHARS = 16 * 1024

_STATUS = re.compile(r"^[1-5]\d\d(-[1-5]\d\d)?$")
_HOST = re.compile(r"^[^\s/@?#\\]{1,253}$")

Trimmed = Annotated[str, StringConstraints(strip_whitespace=True)]
Name = Annotated[Trimmed, Field(min_length=1, max_length=200)]
Tag = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\s,]+$")]
Region = Annotated[str, Field(pattern=REGION_PATTERN)]
Port = Annotated[int, Field(ge=1, le=65535)]
MonitorId = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Strict(BaseModel):
    """What people write: unknown fields are an error that names them."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Auth(Strict):
    """Credentials of an http check: `basic` and `digest` take username and password, `bearer` takes token."""

    type: Literal["basic", "digest", "bearer"]
    username: str = Field(default="", max_length=256)
    password: str = Field(default="", max_length=16384)
    token: str = Field(default="", max_length=16384)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.type != "bearer" and not self.username:
            raise ValueError(f"auth.username is needed for {self.type} authentication")
        if self.type == "bearer" and not self.token:
            raise ValueError("auth.token is needed for bearer authentication")
        return self


class MonitorBase(Strict):
    """The fields that every check type has. `subjects` are what its assertions can be about."""

    subjects: ClassVar[Mapping[str, Kind]] = {}

    name: Name
    interval_seconds: int = Field(default=60, ge=5, le=86400)
    timeout_seconds: float = Field(default=DEFAULT_TIMEOUT_SECONDS, ge=1, le=120)
    retries: int = Field(default=1, ge=0, le=10)
    retry_interval_seconds: float = Field(default=2, ge=1, le=300)
    regions: list[Region] = Field(default_factory=list, max_length=64)
    tags: list[Tag] = Field(default_factory=list, max_length=32)
    enabled: bool = True
    channels: list[int] = Field(default_factory=list, max_length=100)
    parents: list[MonitorId] = Field(default_factory=list, max_length=20)
    """Monitors this one stands behind: while one of them is down, its own alerts are held. Checking goes on."""
    degraded_ms: int | None = Field(default=None, ge=1, le=120_000)
    assertions: list[Assertion] = Field(default_factory=list, max_length=ASSERTIONS_MAX)

    @model_validator(mode="before")
    @classmethod
    def _fit_timeout(cls, data: Any) -> Any:
        """Without a timeout the monitor gets the smaller of 10 s and 0.8 × interval."""
        if isinstance(data, dict) and data.get("timeout_seconds") is None:
            interval = data.get("interval_seconds", 60)
            fitted = DEFAULT_TIMEOUT_SECONDS
            if isinstance(interval, int | float) and interval > 0:
                fitted = min(fitted, max(1.0, round(0.8 * interval, 1)))
            return {**data, "timeout_seconds": fitted}
        return data

    @field_validator("regions")
    @classmethod
    def _no_reserved_region(cls, regions: list[str]) -> list[str]:
        if PUSH_REGION in regions:
            raise ValueError(f"{PUSH_REGION!r} is reserved for push monitors")
        return regions

    @field_validator("regions", "tags", "channels", "parents")
    @classmethod
    def _once_each(cls, values: list[Any]) -> list[Any]:
        return list(dict.fromkeys(values))

    @field_validator("assertions")
    @classmethod
    def _fit_assertions(cls, assertions: list[Assertion]) -> list[Assertion]:
        return fit_assertions(assertions, cls.subjects)

    @model_validator(mode="after")
    def _timeout_within_interval(self) -> Self:
        if self.timeout_seconds > self.interval_seconds:
            raise ValueError(
                f"timeout_seconds ({self.timeout_seconds:g}) must not exceed interval_seconds ({self.interval_seconds})"
            )
        return self

    @property
    def interval_ms(self) -> int:
        return self.interval_seconds * 1000

    @property
    def max_check_seconds(self) -> float:
        """The longest that one check, retries included, can take."""
        all_tries = self.timeout_seconds * (self.retries + 1) + self.retry_interval_seconds * self.retries
        return min(all_tries, self.interval_seconds + self.timeout_seconds)


def _require_host(host: str) -> str:
    if not _HOST.match(host):
        raise ValueError("must be a host name or an address, without scheme, path or spaces")
    return host


class HttpMonitor(MonitorBase):
    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    subjects: ClassVar[Mapping[str, Kind]] = {
        "status": "status",
        **CONNECTION,
        **TLS,
        "latency.wait": "number",
        "latency.transfer": "number",
        "protocol": "text",
        "header.<name>": "any",
        "body": "text",
        "body.json.<path>": "any",
        "body.size": "number",
        "redirects.count": "number",
        "redirects.url": "text",
    }

    type: Literal["http"]
    url: Trimmed = Field(min_length=1, max_length=4096)
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    headers: dict[str, str] = Field(default_factory=dict)
    body: str | None = Field(default=None, max_length=BODY_MAX_BYTES)
    body_json: JsonValue = Field(default=None, alias="json")
    """Sent as application/json, in place of `body`."""
    form: dict[str, str] | None = Field(default=None, max_length=200)
    """Sent as application/x-www-form-urlencoded, in place of `body`."""
    expected_status: list[str] = Field(default_factory=lambda: ["200-299"], min_length=1, max_length=32)
    expected_text: str | None = Field(default=None, min_length=1, max_length=1000)
    forbidden_text: str | None = Field(default=None, min_length=1, max_length=1000)
    follow_redirects: bool = True
    max_redirects: int = Field(default=10, ge=0, le=20)
    verify_tls: bool = True
    certificate_warning_days: int = Field(default=14, ge=0, le=365)
    ip_family: Literal["any", "ipv4", "ipv6"] = "any"
    auth: Auth | None = None
    http_version: Literal["auto", "1.1", "2"] = "auto"
    client_certificate: str | None = Field(default=None, max_length=PEM_MAX_CHARS)
    client_key: str | None = Field(default=None, max_length=2 * PEM_MAX_CHARS)
    ca_certificate: str | None = Field(default=None, max_length=PEM_MAX_CHARS)
    """Trusted for this monitor in place of the usual authorities."""
    proxy: str | None = Field(default=None, max_length=300)
    proxy_username: str = Field(default="", max_length=256)
    proxy_password: str = Field(default="", max_length=16384)
    content_guard: bool = False

    _check_url = field_validator("url")(require_web_address)
    _check_headers = field_validator("headers")(require_headers)
    _check_certificates = field_validator("client_certificate", "ca_certificate")(require_certificates)
    _check_key = field_validator("client_key")(require_key)
    _check_proxy = field_validator("proxy")(require_proxy)

    @field_validator("expected_status", mode="before")
    @classmethod
    def _status_ranges(cls, values: Any) -> Any:
        if isinstance(values, str | int):
            values = [values]
        if not isinstance(values, list):
            return values
        return [cls._status_range(str(value).strip()) for value in values]

    @staticmethod
    def _status_range(value: str) -> str:
        if not _STATUS.match(value):
            raise ValueError(f'{value[:32]!r} must be a code such as 200 or a range such as "200-299"')
        low, _, high = value.partition("-")
        if high and int(high) < int(low):
            raise ValueError(f"range {value!r} runs backwards")
        return value

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        given = [n for n, v in (("body", self.body), ("json", self.body_json), ("form", self.form)) if v is not None]
        if len(given) > 1:
            raise ValueError(f"{given[1]} must not be given along with {given[0]}: a request has one body")
        if self.body_json is not None and len(json.dumps(self.body_json)) > BODY_MAX_BYTES:
            raise ValueError("json must have at most 64 KiB")
        if self.form and sum(len(n) + len(v) for n, v in self.form.items()) > BODY_MAX_BYTES:
            raise ValueError("form must have at most 64 KiB")
        return self

    @model_validator(mode="after")
    def _parts_belong_together(self) -> Self:
        if (self.client_certificate is None) != (self.client_key is None):
            missing = "client_key" if self.client_key is None else "client_certificate"
            raise ValueError(f"{missing} is needed: a certificate and its key belong together")
        if self.proxy is None and (self.proxy_username or self.proxy_password):
            raise ValueError("proxy is needed for its user name and password")
        if self.method == "HEAD" and (self.expected_text or self.forbidden_text or self.content_guard):
            raise ValueError("method must not be HEAD, whose answers have no text to look at")
        return self


class PingMonitor(MonitorBase):
    subjects: ClassVar[Mapping[str, Kind]] = {**LATENCY, "packet_loss": "number", "jitter": "number", "ip": "text"}

    type: Literal["ping"]
    host: Trimmed
    packets: int = Field(default=3, ge=1, le=20)
    ip_family: Literal["any", "ipv4", "ipv6"] = "any"
    _check_host = field_validator("host")(_require_host)


class PortMonitor(MonitorBase):
    subjects: ClassVar[Mapping[str, Kind]] = {**CONNECTION, **TLS, "latency.wait": "number", "body": "text"}

    type: Literal["port"]
    host: Trimmed
    port: Port
    starttls: Literal["smtp", "imap", "pop3", "ftp", "postgres"] | None = None
    """The protocol in which TLS is asked for before anything else."""
    verify_tls: bool = True
    certificate_warning_days: int = Field(default=14, ge=0, le=365)
    send: str | None = Field(default=None, min_length=1, max_length=4096)
    r"""Sent once connected; \r, \n, \t, \0 and \x41 stand for their characters."""
    expect: str | None = Field(default=None, min_length=1, max_length=1000)
    """Must occur in what is received."""
    ip_family: Literal["any", "ipv4", "ipv6"] = "any"
    _check_host = field_validator("host")(_require_host)


class DnsMonitor(MonitorBase):
    subjects: ClassVar[Mapping[str, Kind]] = {
        "latency": "number",
        "dns.values": "values",
        "dns.count": "number",
        "dns.rcode": "text",
    }

    type: Literal["dns"]
    host: Trimmed
    record_type: Literal["A", "AAAA", "CNAME", "MX", "NS", "TXT", "SRV", "SOA", "CAA", "PTR"] = "A"
    resolver: str | None = Field(default=None, max_length=260)
    """`address` or `address:port` of the server to ask; None asks the prober's own resolvers."""
    transport: Literal["udp", "tcp"] = "udp"
    expected_rcode: Literal["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", "NOTIMP", "FORMERR"] = "NOERROR"
    expected_values: list[str] = Field(default_factory=list, max_length=64)
    _check_host = field_validator("host")(_require_host)

    @field_validator("resolver")
    @classmethod
    def _resolver_address(cls, resolver: str | None) -> str | None:
        if resolver is not None and not _HOST.match(resolver):
            raise ValueError("must be an address or address:port")
        return resolver

    @model_validator(mode="after")
    def _rcode_of_one_server(self) -> Self:
        if self.expected_rcode not in ("NOERROR", "NXDOMAIN") and self.resolver is None:
            raise ValueError("resolver is needed to expect this code: the usual name servers are asked in turn")
        return self


class TlsMonitor(MonitorBase):
    subjects: ClassVar[Mapping[str, Kind]] = {
        **CONNECTION,
        **TLS,
        "certificate.subject": "text",
        "certificate.issuer": "text",
        "protocol": "text",
    }

    type: Literal["tls"]
    host: Trimmed
    port: Port = 443
    server_name: str | None = Field(default=None, max_length=253)
    min_version: Literal["1.2", "1.3"] = "1.2"
    """The oldest TLS version that counts as up."""
    ca_certificate: str | None = Field(default=None, max_length=PEM_MAX_CHARS)
    certificate_warning_days: int = Field(default=14, ge=0, le=365)
    ip_family: Literal["any", "ipv4", "ipv6"] = "any"
    _check_host = field_validator("host")(_require_host)
    _check_certificates = field_validator("ca_certificate")(require_certificates)


class PushMonitor(MonitorBase):
    """Something that calls us: down when no push came for interval + grace, or by a moment of `cron` + grace."""

    subjects: ClassVar[Mapping[str, Kind]] = {
        "latency": "number",
        "exit_code": "number",
        "body": "text",
        "body.json.<path>": "any",
    }

    type: Literal["push"]
    grace_seconds: int = Field(default=30, ge=0, le=86400)
    cron: str | None = Field(default=None, max_length=CRON_MAX_CHARS)
    """When the job runs, in five fields; `interval_seconds` follows from it then, whatever is written there."""
    time_zone: str = Field(default="UTC", max_length=64)
    run_limit_seconds: int | None = Field(default=None, ge=1, le=7 * 86400)
    """From the start of a run to its end. None: runs are not waited for, the next push is due as ever."""

    _check_zone = field_validator("time_zone")(require_zone)

    @field_validator("cron")
    @classmethod
    def _one_spelling(cls, cron: str | None) -> str | None:
        return None if cron is None else require_cron(cron)

    @model_validator(mode="before")
    @classmethod
    def _interval_of_cron(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("cron"), str):
            return data
        try:
            interval = usual_interval_seconds(require_cron(data["cron"]))
        except ValueError:
            return data  # the field says what is wrong
        return {**data, "interval_seconds": interval, "timeout_seconds": None}


MonitorSpec = HttpMonitor | PingMonitor | PortMonitor | DnsMonitor | TlsMonitor | PushMonitor
MONITOR_TYPES: dict[str, type[MonitorBase]] = {
    "http": HttpMonitor,
    "ping": PingMonitor,
    "port": PortMonitor,
    "dns": DnsMonitor,
    "tls": TlsMonitor,
    "push": PushMonitor,
}
_ADAPTER: TypeAdapter[MonitorSpec] = TypeAdapter(Annotated[MonitorSpec, Field(discriminator="type")])


def fields_of(kind: str) -> dict[str, FieldInfo]:
    """Every field of the type by the name that people write. Raises KeyError for a type there is not."""
    return {field.alias or name: field for name, field in MONITOR_TYPES[kind].model_fields.items()}


def parse_monitor(data: Mapping[str, Any]) -> MonitorSpec:
    """The specification in `data`; `type` decides the model. Raises pydantic.ValidationError."""
    return _ADAPTER.validate_python(dict(data))


def read_stored_monitor(data: Mapping[str, Any]) -> MonitorSpec:
    """A specification that was valid when stored, perhaps by a newer version: fields unknown here are passed over.

    Without this a service that is upgraded last would refuse the whole monitor. Raises pydantic.ValidationError.
    """
    kind = str(data.get("type"))
    known = fields_of(kind) if kind in MONITOR_TYPES else data
    return parse_monitor({name: value for name, value in data.items() if name in known})


def parse_monitor_json(data: str | bytes) -> MonitorSpec:
    """As parse_monitor, from JSON text."""
    return _ADAPTER.validate_json(data)


def dump_monitor(spec: MonitorSpec) -> dict[str, Any]:
    """Every field of the specification as JSON-ready values."""
    return spec.model_dump(mode="json")
