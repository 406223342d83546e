"""Channel configuration: what it accepts, what it refuses, and that secrets never show."""

import json
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from farwatch_events.channels import (
    CHANNEL_TYPES,
    DEFAULT_MOMENTS,
    MOMENTS,
    AppriseConfig,
    EmailConfig,
    Moment,
    UnknownChannelType,
    channel_schema,
    dump_channel,
    keep_masked_channel,
    map_channel_secrets,
    mask_channel_secrets,
    parse_channel,
    secret_fields,
)
from farwatch_events.masking import MASK

SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FULL: dict[str, dict[str, Any]] = {
    "discord": {"webhook_url": "https://discord.example/api/webhooks/1/hush-d"},
    "slack": {"webhook_url": "https://hooks.slack.example/services/hush-s"},
    "email": {
        "smtp_server": "mail.example.org",
        "smtp_port": 587,
        "username": "alerts",
        "password": "hush-p",
        "from_email": "Farwatch <alerts@example.org>",
        "to_email": ["ops@example.org"],
        "use_tls": "starttls",
    },
    "webhook": {
        "url": "https://hook.example/in",
        "method": "PUT",
        "headers": {"Authorization": "Bearer hush-h", "X-Team": "web"},
        "timeout": 5,
        "signing_secret": SIGNING_SECRET,
        "body": '{"text": "{{monitor}} is {{state}}"}',
    },
    "teams": {"webhook_url": "https://flows.example/workflows/hush-t?sig=hush"},
    "telegram": {
        "bot_token": "123456:hush-AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "chat_id": "-1001234567890",
        "message_thread_id": 7,
        "api_url": "https://telegram.example",
    },
    "ntfy": {
        "server_url": "https://ntfy.example",
        "topic": "hush-topic",
        "username": "alerts",
        "password": "hush-n",
        "token": None,
    },
    "pagerduty": {
        "routing_key": "hush" + "0" * 28,
        "api_url": "https://events.eu.pagerduty.example",
        "key_prefix": "farwatch-eu",
    },
    "apprise": {"urls": "gotify://push.example/hush-a\njsons://hook.example/hush-b"},
}


def email(**fields: Any) -> EmailConfig:
    parsed = parse_channel("email", FULL["email"] | fields)
    assert isinstance(parsed, EmailConfig)
    return parsed


def refusal(kind: str, **fields: Any) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        parse_channel(kind, FULL[kind] | fields)
    first = caught.value.errors()[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]


def test_moments_are_described_and_the_defaults_are_among_them() -> None:
    assert set(MOMENTS) == set(get_args(Moment))
    assert DEFAULT_MOMENTS == ("down", "up")


@pytest.mark.parametrize("kind", CHANNEL_TYPES)
def test_each_type_reads_back_from_its_dump_in_the_clear_and_encrypted(kind: str) -> None:
    config = parse_channel(kind, FULL[kind])
    assert parse_channel(kind, dump_channel(config)) == config
    encrypted = map_channel_secrets(kind, dump_channel(config), lambda plain: "enc:v1:" + plain[::-1])
    assert dump_channel(parse_channel(kind, encrypted)) == encrypted


@pytest.mark.parametrize("kind", CHANNEL_TYPES)
def test_no_secret_survives_the_mask_and_writing_it_back_keeps_what_is_stored(kind: str) -> None:
    dumped = dump_channel(parse_channel(kind, FULL[kind]))
    stored = map_channel_secrets(kind, dumped, lambda plain: "enc:v1:" + plain.encode().hex())
    shown = mask_channel_secrets(kind, stored)
    assert "hush" not in json.dumps(shown)
    assert "enc:" not in json.dumps(shown)
    assert SIGNING_SECRET not in json.dumps(shown)
    assert MASK in json.dumps(shown)
    assert keep_masked_channel(kind, shown, stored) == stored


def test_a_new_secret_beside_a_mask_replaces_only_its_own_field() -> None:
    stored = {"url": "https://a.example", "headers": {"Authorization": "enc:v1:x"}, "signing_secret": "enc:v1:y"}
    new = {"url": "https://b.example", "headers": {"Authorization": MASK, "X-Token": "n"}, "signing_secret": None}
    kept = keep_masked_channel("webhook", new, stored)
    assert kept == {
        "url": "https://b.example",
        "headers": {"Authorization": "enc:v1:x", "X-Token": "n"},
        "signing_secret": None,
    }


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("discord", {"webhook_url": MASK}),
        ("slack", {"webhook_url": MASK}),
        ("email", {"password": MASK}),
        ("webhook", {"signing_secret": MASK}),
        ("teams", {"webhook_url": MASK}),
        ("telegram", {"bot_token": MASK}),
        ("ntfy", {"topic": MASK}),
        ("ntfy", {"password": MASK}),
        ("pagerduty", {"routing_key": MASK}),
        ("apprise", {"urls": MASK}),
        ("webhook", {"headers": {"Authorization": MASK}}),
    ],
)
def test_a_mask_with_nothing_behind_it_is_refused(kind: str, fields: dict[str, Any]) -> None:
    kept = keep_masked_channel(kind, FULL[kind] | fields, {})
    field, message = refusal(kind, **{name: kept[name] for name in fields})
    assert field == next(iter(fields))
    assert "never stored" in message


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("discord", "webhook_url", "file:///etc/passwd"),
        ("discord", "webhook_url", ""),
        ("slack", "webhook_url", "https://"),
        ("webhook", "url", "https://user:pass@hook.example/"),
        ("webhook", "url", "https://hook.example/\r\nX: y"),
        ("webhook", "method", "DELETE"),
        ("webhook", "timeout", 0),
        ("webhook", "timeout", 61),
        ("webhook", "headers", {"X-A": "a\r\nX-B: b"}),
        ("webhook", "headers", {"bad name": "a"}),
        ("webhook", "headers", {"Webhook-Signature": "v1,forged"}),
        ("webhook", "headers", {"X-Big": "a" * 20_000}),
        ("webhook", "signing_secret", "whsec_tooshort"),
        ("webhook", "signing_secret", SIGNING_SECRET.removeprefix("whsec_")),
        ("email", "smtp_port", 0),
        ("email", "smtp_server", "mail example"),
        ("email", "from_email", "nobody"),
        ("email", "from_email", "a@b.example\r\nBcc: c@d.example"),
        ("email", "to_email", []),
        ("email", "to_email", "a@b.example, nobody"),
        ("email", "to_email", ["a@b.example"] * 51),
        ("email", "use_tls", "ssl3"),
        ("email", "surprise", 1),
        ("teams", "webhook_url", "ftp://flows.example"),
        ("telegram", "bot_token", "123456"),
        ("telegram", "bot_token", "123456:" + "a" * 30 + "/../x"),
        ("telegram", "chat_id", "Operations"),
        ("telegram", "chat_id", True),
        ("telegram", "message_thread_id", 0),
        ("telegram", "api_url", "file:///etc/passwd"),
        ("ntfy", "topic", "a/b"),
        ("ntfy", "topic", "x" * 65),
        ("ntfy", "username", "a:b"),
        ("ntfy", "password", None),
        ("ntfy", "server_url", "ntfy.sh"),
        ("pagerduty", "routing_key", "x" * 31),
        ("pagerduty", "key_prefix", "a b"),
        ("apprise", "urls", ""),
        ("apprise", "urls", []),
        ("apprise", "urls", ["gotify://h/t"] * 11),
        ("apprise", "urls", "gotify"),
        ("apprise", "urls", "gotify://h/t gotify://h/u"),
        ("apprise", "urls", "gotify://h/t\nfile:///etc/passwd"),
        ("webhook", "body", "{{monitor}} {{7*7}}"),
        ("webhook", "body", '{"text": {{monitor}}}'),
        ("webhook", "body", '{"text": "{{monitor}"'),
        ("webhook", "body", "x" * 70_000),
    ],
)
def test_refusals_name_the_field(kind: str, field: str, value: Any) -> None:
    assert refusal(kind, **{field: value})[0].split(".")[0] == field


@pytest.mark.parametrize(
    ("written", "port", "read"),
    [(True, 587, "starttls"), (True, 465, "tls"), (False, 25, "none"), ("tls", 465, "tls"), ("none", 25, "none")],
)
def test_use_tls_takes_the_first_seeds_booleans(written: Any, port: int, read: str) -> None:
    assert email(use_tls=written, smtp_port=port).use_tls == read


@pytest.mark.parametrize(
    ("written", "recipients"),
    [
        ("a@b.example", ["a@b.example"]),
        ("a@b.example, C <c@d.example>", ["a@b.example", "C <c@d.example>"]),
        (["a@b.example", "c@d.example"], ["a@b.example", "c@d.example"]),
    ],
)
def test_recipients_are_one_address_or_several_and_read_back_as_written(written: Any, recipients: list[str]) -> None:
    config = email(to_email=written)
    assert config.recipients == recipients
    assert config.to_email == written


def test_empty_fields_of_a_form_mean_not_set() -> None:
    config = email(username="", password="")
    assert (config.username, config.password) == (None, None)


def test_an_unknown_type_names_those_that_exist() -> None:
    with pytest.raises(UnknownChannelType, match=r"discord, slack, teams, .*, apprise"):
        parse_channel("pigeon", {})


def test_an_access_token_and_a_password_are_one_too_many() -> None:
    assert refusal("ntfy", token="tk_0000")[0] == "username"
    assert refusal("ntfy", token="tk\n0000", username=None, password=None)[0] == "token"
    config = parse_channel("ntfy", {"topic": "t", "token": "tk_0000", "username": "", "password": ""})
    assert dump_channel(config)["server_url"] == "https://ntfy.sh"


def test_a_chat_may_be_a_number_or_the_name_of_a_channel() -> None:
    chats = [parse_channel("telegram", FULL["telegram"] | {"chat_id": chat}) for chat in (-100123, "42", "@ops_alerts")]
    assert [dump_channel(chat)["chat_id"] for chat in chats] == ["-100123", "42", "@ops_alerts"]
    assert dump_channel(parse_channel("telegram", FULL["telegram"] | {"message_thread_id": ""}))[
        "message_thread_id"
    ] is None  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "dbus://",
        "dbus://x",
        "kde://x",
        "gnome://x",
        "windows://x",
        "macosx://x",
        "syslog://localhost",
        "growl://localhost",
        "blink1://x",
        "fcm://project@key/device?keyfile=/etc/passwd",
        "vapid://a@b.example/c",
        "file:///etc/passwd",
        "exec://id",
        "workflows://h.example/w/s?template=/etc/passwd",
        "slack://a/b/c?Template=/etc/passwd",
        "mailto://u:p@h.example?pgppub=/etc/passwd",
        "mailto://u:p@h.example?to=a&pgp%70rv=/etc/passwd",
        "json://h.example/?attach=file:///etc/passwd",
        "json://h.example/?optional=yes",
        "json://h.example/?retry=5",
        "json://h.example/?rto=900",
    ],
)
def test_apprise_urls_that_stay_on_this_machine_or_read_its_files_are_refused(url: str) -> None:
    field, message = refusal("apprise", urls=f"gotify://h.example/hush\n{url}")
    assert field == "urls"
    assert "line 2" in message
    assert "hush" not in message


def test_apprise_urls_are_a_list_or_lines() -> None:
    config = parse_channel("apprise", {"urls": ["gotify://h/t", " JSON://h/p?verify=no "]})
    assert isinstance(config, AppriseConfig)
    assert config.targets == ["gotify://h/t", "JSON://h/p?verify=no"]
    assert config.urls == "gotify://h/t\nJSON://h/p?verify=no"


def test_a_body_of_ones_own_need_not_be_json_but_a_get_has_none() -> None:
    headers = {"content-type": "text/plain"}
    written = {"url": "https://h.example", "headers": headers, "body": "{{ monitor }} is {{state}}"}
    assert dump_channel(parse_channel("webhook", written))["body"] == "{{ monitor }} is {{state}}"
    assert dump_channel(parse_channel("webhook", written | {"body": " "}))["body"] is None
    assert refusal("webhook", method="GET")[0] == "body"


@pytest.mark.parametrize("kind", CHANNEL_TYPES)
def test_forms_learn_titles_and_secrets_from_the_schema(kind: str) -> None:
    properties = channel_schema(kind)["properties"]
    assert all(field.get("title") for field in properties.values())
    assert {name for name, field in properties.items() if field.get("secret")} == secret_fields(kind)
