"""Channel configuration: one model a channel type, which moments exist, and which fields are secrets.

These models are the validation of the REST API and what the forms are made from. A secret field may hold its
encrypted form ("enc:v1:…"), which is how it is stored; limits on its shape apply to what people write.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic.config import JsonDict

from farwatch_events.apprise_urls import require_apprise_urls, split_urls
from farwatch_events.channel_checks import (
    empty_is_none,
    require_mailbox,
    require_secret_address,
    require_set,
    require_shape,
    require_signing_secret,
    require_written,
    split_addresses,
)
from farwatch_events.masking import MASK
from farwatch_events.monitor import BODY_MAX_BYTES, Port, Strict, Trimmed
from farwatch_events.placeholders import content_type, require_body
from farwatch_events.requests import ENCRYPTED_PREFIX, is_secret_header, require_headers, require_web_address

Moment = Literal[
    "down", "up", "degraded", "first_failure", "first_success", "acknowledged", "reminder", "region", "system"
]  # fmt: skip
"""When a channel is used. `region` is about a place of ours that went silent or suspect, and its return; `system` about
Farwatch itself, which channels with exactly the default moments are told too."""

MOMENTS: dict[Moment, str] = {
    "down": "A monitor is down",
    "up": "A monitor that was down or degraded has recovered",
    "degraded": "A monitor is slow, limited or seen as failing from some places only",
    "first_failure": "A check failed after a success, before it is confirmed",
    "first_success": "A check succeeded again before anything was confirmed",
    "acknowledged": "Somebody acknowledged an incident that the channel was told of",
    "reminder": "An incident is still open",
    "region": "A region stopped answering or is not to be trusted",
    "system": "Farwatch itself has trouble, and its end; told to channels with the default moments too",
}
DEFAULT_MOMENTS: tuple[Moment, ...] = ("down", "up")

UseTls = Literal["starttls", "tls", "none"]
IMPLICIT_TLS_PORT = 465
_STANDARD_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", *_STANDARD_HEADERS})
_SECRET: JsonDict = {"secret": True, "format": "password"}
_LINES: JsonDict = {"multiline": True}

_BOT_TOKEN = re.compile(r"^\d{1,20}:[A-Za-z0-9_-]{20,128}$")
_CHAT = re.compile(r"^(-?\d{1,20}|@[A-Za-z][A-Za-z0-9_]{3,63})$")
_TOPIC = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
_ROUTING_KEY = re.compile(r"^[A-Za-z0-9]{32}$")


class DiscordConfig(Strict):
    """A Discord webhook: Server settings → Integrations → Webhooks → Copy webhook URL."""

    webhook_url: Trimmed = Field(title="Webhook URL", min_length=1, max_length=4096, json_schema_extra=_SECRET)
    _check_webhook_url = field_validator("webhook_url")(require_secret_address)


class SlackConfig(Strict):
    """A Slack incoming webhook."""

    webhook_url: Trimmed = Field(title="Webhook URL", min_length=1, max_length=4096, json_schema_extra=_SECRET)
    _check_webhook_url = field_validator("webhook_url")(require_secret_address)


class TeamsConfig(Strict):
    """Microsoft Teams: Workflows → Post to a channel when a webhook request is received → copy its address."""

    webhook_url: Trimmed = Field(title="Webhook URL", min_length=1, max_length=4096, json_schema_extra=_SECRET)
    _check_webhook_url = field_validator("webhook_url")(require_secret_address)


class TelegramConfig(Strict):
    """A Telegram bot: make one with @BotFather, and add it to the chat."""

    bot_token: Trimmed = Field(
        title="Bot token", description="As @BotFather gave it", max_length=4096, json_schema_extra=_SECRET
    )
    chat_id: Trimmed = Field(title="Chat", description="Its number, such as -1001234567890, or @name of a channel")
    message_thread_id: int | None = Field(
        default=None, title="Topic", description="Number of a topic of a forum; empty for none", ge=1
    )
    api_url: Trimmed = Field(
        default="https://api.telegram.org",
        title="Bot API server",
        description="Another one only if you run your own",
        max_length=4096,
    )
    _check_bot_token = field_validator("bot_token")(
        require_shape(_BOT_TOKEN, "a bot token such as 123456:ABC-DEF… from @BotFather")
    )
    _check_api_url = field_validator("api_url")(require_web_address)
    _empty_topic = field_validator("message_thread_id", mode="before")(empty_is_none)

    @field_validator("chat_id", mode="before")
    @classmethod
    def _number_is_text(cls, chat: Any) -> Any:
        return str(chat) if isinstance(chat, int) and not isinstance(chat, bool) else chat

    @field_validator("chat_id")
    @classmethod
    def _check_chat_id(cls, chat: str) -> str:
        if not _CHAT.match(chat):
            raise ValueError("must be the number of a chat, such as -1001234567890, or @name of a channel")
        return chat


class NtfyConfig(Strict):
    """Push messages through ntfy.sh or a server of your own."""

    server_url: Trimmed = Field(default="https://ntfy.sh", title="Server", max_length=4096)
    topic: Trimmed = Field(
        title="Topic",
        description="On an open server whoever knows it can read along: choose one that nobody guesses",
        max_length=4096,
        json_schema_extra=_SECRET,
    )
    token: Trimmed | None = Field(
        default=None,
        title="Access token",
        description="For a protected topic; or a user name and a password",
        max_length=4096,
        json_schema_extra=_SECRET,
    )
    username: str | None = Field(default=None, title="User name", max_length=256)
    password: str | None = Field(default=None, title="Password", max_length=4096, json_schema_extra=_SECRET)
    _empty = field_validator("token", "username", "password", mode="before")(empty_is_none)
    _check_server_url = field_validator("server_url")(require_web_address)
    _check_topic = field_validator("topic")(require_shape(_TOPIC, "1 to 64 letters, digits, - and _"))
    _check_secrets = field_validator("token", "password")(require_set)

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: str | None) -> str | None:
        if token is not None and not re.fullmatch(r"[\x21-\x7e]+", token):
            raise ValueError("must hold letters, digits and signs of ASCII only")
        return token

    @field_validator("username")
    @classmethod
    def _check_username(cls, username: str | None, info: ValidationInfo) -> str | None:
        if username is not None and info.data.get("token") is not None:
            raise ValueError("must be empty when there is an access token")
        if username is not None and ":" in username:
            raise ValueError("must not contain a colon")
        return username

    @field_validator("password")
    @classmethod
    def _check_password(cls, password: str | None, info: ValidationInfo) -> str | None:
        if "username" in info.data and (password is None) != (info.data["username"] is None):
            raise ValueError("a user name and a password go together")
        return password


class PagerDutyConfig(Strict):
    """PagerDuty: Services → Integrations → Events API v2. One alert an incident, resolved when it ends."""

    routing_key: Trimmed = Field(
        title="Integration key", description="32 characters", max_length=4096, json_schema_extra=_SECRET
    )
    api_url: Trimmed = Field(
        default="https://events.pagerduty.com",
        title="Events API",
        description="https://events.eu.pagerduty.com for accounts in the EU",
        max_length=4096,
    )
    key_prefix: Trimmed = Field(
        default="farwatch",
        title="Key prefix",
        description="Tells several Farwatch installations on one integration key apart",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
    )
    _check_routing_key = field_validator("routing_key")(require_shape(_ROUTING_KEY, "32 letters and digits"))
    _check_api_url = field_validator("api_url")(require_web_address)


class AppriseConfig(Strict):
    """Any other service that Apprise knows. One URL a channel is best: each message goes to all of them."""

    urls: Trimmed = Field(
        title="Apprise URLs",
        description="One a line, such as gotify://host/token",
        min_length=1,
        max_length=64 * 1024,
        json_schema_extra=_SECRET | _LINES,
    )

    @field_validator("urls", mode="before")
    @classmethod
    def _list_is_lines(cls, urls: Any) -> Any:
        return "\n".join(urls) if isinstance(urls, list) and all(isinstance(url, str) for url in urls) else urls

    @field_validator("urls")
    @classmethod
    def _check_urls(cls, urls: str) -> str:
        return urls if urls.startswith(ENCRYPTED_PREFIX) else require_apprise_urls(require_written(urls))

    @property
    def targets(self) -> list[str]:
        return split_urls(self.urls)


class WebhookConfig(Strict):
    """A JSON request to any address, signed as Standard Webhooks when a signing secret is set."""

    url: Trimmed = Field(title="URL", min_length=1, max_length=4096)
    method: Literal["POST", "PUT", "GET", "PATCH"] = Field(default="POST", title="Method")
    headers: dict[str, str] = Field(default_factory=dict, title="Headers", max_length=64)
    timeout: float = Field(default=10, ge=1, le=60, title="Timeout in seconds")
    signing_secret: Trimmed | None = Field(
        default=None,
        title="Signing secret",
        description="whsec_ and 24 to 64 random bytes in base64",
        max_length=1024,
        json_schema_extra=_SECRET,
    )
    body: str | None = Field(
        default=None,
        title="Body",
        description="Empty for Farwatch's own JSON; else your text with placeholders such as {{monitor}} and {{state}}",
        max_length=BODY_MAX_BYTES,
        json_schema_extra=_LINES,
    )
    _check_url = field_validator("url")(require_web_address)
    _empty = field_validator("signing_secret", "body", mode="before")(empty_is_none)
    _check_signing_secret = field_validator("signing_secret")(require_signing_secret)

    @field_validator("body")
    @classmethod
    def _check_body(cls, body: str | None, info: ValidationInfo) -> str | None:
        if body is None or not body.strip():
            return None
        if info.data.get("method") == "GET":
            raise ValueError("must be empty: a GET carries no body")
        return require_body(body, content_type(info.data.get("headers", {})))

    @field_validator("method", mode="before")
    @classmethod
    def _any_case(cls, method: Any) -> Any:
        return method.upper() if isinstance(method, str) else method

    @field_validator("headers", mode="before")
    @classmethod
    def _no_headers(cls, headers: Any) -> Any:
        return {} if headers is None else headers

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in require_headers(headers).items():
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"header {name!r} is set by Farwatch itself")
            if is_secret_header(name) and value == MASK:
                raise ValueError(f"header {name!r} is the mask of a secret that was never stored: write its value")
        return headers


class EmailConfig(Strict):
    """Mail through an SMTP server."""

    smtp_server: Trimmed = Field(title="SMTP server", min_length=1, max_length=253, pattern=r"^[^\s/@]+$")
    smtp_port: Port = Field(default=587, title="Port")
    username: str | None = Field(default=None, title="User name", max_length=256)
    password: str | None = Field(default=None, title="Password", max_length=4096, json_schema_extra=_SECRET)
    from_email: Trimmed = Field(title="From", min_length=3, max_length=320)
    to_email: Trimmed | Annotated[list[Trimmed], Field(min_length=1, max_length=50)] = Field(
        title="To", description="One address or several"
    )
    use_tls: UseTls = Field(default="starttls", title="Encryption")
    _empty = field_validator("username", "password", mode="before")(empty_is_none)
    _check_from_email = field_validator("from_email")(require_mailbox)
    _check_password = field_validator("password")(require_set)

    @model_validator(mode="before")
    @classmethod
    def _read_use_tls(cls, data: Any) -> Any:
        """true is STARTTLS, or TLS from the first byte on port 465, where no server offers STARTTLS; false is none."""
        if not isinstance(data, dict) or not isinstance(data.get("use_tls"), bool):
            return data
        implicit = str(data.get("smtp_port")) == str(IMPLICIT_TLS_PORT)
        wanted: UseTls = ("tls" if implicit else "starttls") if data["use_tls"] else "none"
        return {**data, "use_tls": wanted}

    @field_validator("to_email")
    @classmethod
    def _check_to_email(cls, to_email: str | list[str]) -> str | list[str]:
        addresses = split_addresses(to_email)
        if not 1 <= len(addresses) <= 50:
            raise ValueError("must be 1 to 50 email addresses")
        for address in addresses:
            require_mailbox(address)
        return to_email

    @property
    def recipients(self) -> list[str]:
        return split_addresses(self.to_email)


ChannelConfig = (
    DiscordConfig
    | SlackConfig
    | TeamsConfig
    | TelegramConfig
    | EmailConfig
    | NtfyConfig
    | PagerDutyConfig
    | WebhookConfig
    | AppriseConfig
)
CHANNEL_TYPES: dict[str, type[ChannelConfig]] = {
    "discord": DiscordConfig,
    "slack": SlackConfig,
    "teams": TeamsConfig,
    "telegram": TelegramConfig,
    "email": EmailConfig,
    "ntfy": NtfyConfig,
    "pagerduty": PagerDutyConfig,
    "webhook": WebhookConfig,
    "apprise": AppriseConfig,
}


class UnknownChannelType(ValueError):
    """No channel of this type exists; the text names those that do."""


def channel_model(channel_type: str) -> type[ChannelConfig]:
    """Raises UnknownChannelType."""
    model = CHANNEL_TYPES.get(channel_type)
    if model is None:
        raise UnknownChannelType(f"type must be one of {', '.join(CHANNEL_TYPES)}")
    return model


def parse_channel(channel_type: str, config: Mapping[str, Any]) -> ChannelConfig:
    """Raises UnknownChannelType or pydantic.ValidationError, whose locations are the field names."""
    return channel_model(channel_type).model_validate(dict(config))


def dump_channel(config: ChannelConfig) -> dict[str, Any]:
    """Every field as JSON-ready values."""
    return config.model_dump(mode="json")


def channel_schema(channel_type: str) -> dict[str, Any]:
    """JSON schema of a type's fields, for forms: `title`, `description`, `default`, `secret` and `multiline`."""
    return channel_model(channel_type).model_json_schema()


def secret_fields(channel_type: str) -> frozenset[str]:
    """Names of the fields that are secrets; values of secret-sounding headers are secrets besides."""
    fields = channel_model(channel_type).model_fields
    extras = {name: field.json_schema_extra for name, field in fields.items()}
    return frozenset(name for name, extra in extras.items() if isinstance(extra, dict) and extra.get("secret"))


def map_channel_secrets(channel_type: str, data: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """A copy of a dumped configuration in which `change` was applied to each secret that is set."""
    secrets = secret_fields(channel_type)
    changed = {name: change(value) if name in secrets and value else value for name, value in data.items()}
    headers = changed.get("headers")
    if isinstance(headers, Mapping):
        changed["headers"] = {k: change(v) if is_secret_header(k) and v else v for k, v in headers.items()}
    return changed


def mask_channel_secrets(channel_type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """What may be shown: each secret reads as MASK."""
    return map_channel_secrets(channel_type, data, lambda _: MASK)


def keep_masked_channel(channel_type: str, new: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """`new` with every MASK replaced by the stored (encrypted) value of the same field or header.

    A mask with nothing stored behind it stays and is refused by `parse_channel`.
    """
    secrets = secret_fields(channel_type)
    kept = {name: stored.get(name) or v if name in secrets and v == MASK else v for name, v in new.items()}
    headers, before = kept.get("headers"), stored.get("headers")
    if isinstance(headers, Mapping) and isinstance(before, Mapping):
        kept["headers"] = {k: before.get(k, v) if v == MASK else v for k, v in headers.items()}
    return kept
