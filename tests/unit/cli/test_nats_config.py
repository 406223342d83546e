"""The generated configuration of the embedded NATS."""

import json

from farwatch_cli.embedded import nats_config


def rendered(**changes: object) -> dict[str, object]:
    accounts = {user: f"password of {user.name}" for user in nats_config.users(["eu"])}
    usual = {
        "name": "n",
        "listen": "127.0.0.1:4222",
        "http": "127.0.0.1:-1",
        "store_dir": "/data/store",
        "ports_dir": "/data/ports",
        "max_file_bytes": nats_config.store_bytes(["eu"]),
        "accounts": accounts,
    }
    config: dict[str, object] = json.loads(nats_config.render(**{**usual, **changes}))  # type: ignore[arg-type]
    return config


def test_it_listens_on_loopback_only() -> None:
    assert str(rendered()["listen"]).startswith("127.0.0.1:")
    assert str(rendered()["http"]).startswith("127.0.0.1:")


def test_every_region_adds_its_streams_to_the_bound() -> None:
    one, two = nats_config.store_bytes(["eu"]), nats_config.store_bytes(["eu", "us"])
    assert two - one == (32 + 256) * nats_config.MEGABYTE
    assert nats_config.store_bytes(["eu", "eu"]) == one


def test_a_prober_is_confined_to_its_region() -> None:
    subjects = [*nats_config.prober_user("eu").publish, *nats_config.prober_user("eu").subscribe]
    assert not [subject for subject in subjects if subject in (">", "$JS.API.>", "_INBOX.>", "events.>")]
    assert "checks.result.eu.>" in subjects


def test_without_accounts_nobody_is_asked() -> None:
    assert "authorization" not in rendered(accounts={})
