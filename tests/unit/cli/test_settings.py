"""How the command reads its environment, `.env` and options."""

from pathlib import Path

import pytest

from farwatch_cli.plan import CORE_SERVICES, plan_services
from farwatch_cli.settings import UpSettings, read_dotenv
from farwatch_runtime.settings import SettingsError


def test_dotenv_lines(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# a comment\n\nexport FARWATCH_PORT=3001\nFARWATCH_HOST = '0.0.0.0' \nFARWATCH_REGION=eu # ours\nEMPTY=\n"
    )
    assert read_dotenv(tmp_path / ".env") == {
        "FARWATCH_PORT": "3001",
        "FARWATCH_HOST": "0.0.0.0",
        "FARWATCH_REGION": "eu",
        "EMPTY": "",
    }


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FARWATCH_PORT=1\nwhat is this\n")
    with pytest.raises(SettingsError, match="line 2 is not NAME=value"):
        read_dotenv(tmp_path / ".env")


def test_no_file_is_no_problem(tmp_path: Path) -> None:
    assert read_dotenv(tmp_path / ".env") == {}


def test_options_win_over_the_environment() -> None:
    settings = UpSettings.read({"FARWATCH_PORT": "4000", "FARWATCH_HOST": "::1"}, port=5000, host=None)
    assert (settings.port, settings.host) == (5000, "::1")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"FARWATCH_PORT": "high"}, "FARWATCH_PORT"),
        ({"FARWATCH_PORTS": "1"}, "did you mean FARWATCH_PORT"),
        ({"FARWATCH_REGION": "Europe West"}, "must be 1 to 32 of"),
        ({"FARWATCH_REGION": "push"}, "takes no probers"),
        ({"FARWATCH_NATS_SYNC": "sometimes"}, "FARWATCH_NATS_SYNC"),
    ],
)
def test_bad_settings_name_themselves(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        UpSettings.read(environ)


def test_regions_and_probers_make_processes() -> None:
    plans = plan_services({}, ["eu", "us"], probers=2)
    assert [plan.name for plan in plans] == [*CORE_SERVICES, *(f"prober-{r}-{n}" for r in ("eu", "us") for n in (1, 2))]
    assert [plan.environ.get("FARWATCH_REGION") for plan in plans] == [None] * 4 + ["eu", "eu", "us", "us"]


def test_secrets_reach_only_those_that_need_them() -> None:
    environ = {"FARWATCH_API_TOKEN": "t", "FARWATCH_DATABASE_URL": "d", "PATH": "/bin"}
    with_token = {plan.name for plan in plan_services(environ, ["local"], 1) if "FARWATCH_API_TOKEN" in plan.environ}
    without_database = {
        plan.name for plan in plan_services(environ, ["local"], 1) if "FARWATCH_DATABASE_URL" not in plan.environ
    }
    assert with_token == {"api"}
    assert without_database == {"prober-local-1"}


def test_a_fixed_health_port_is_shared_out() -> None:
    plans = plan_services({"FARWATCH_HEALTH_PORT": "9000"}, ["local"], 1)
    assert [plan.environ["FARWATCH_HEALTH_PORT"] for plan in plans] == [str(9000 + n) for n in range(5)]


def test_the_address_of_the_dead_mans_switch_reaches_the_service_that_calls_it_only() -> None:
    plans = plan_services({"FARWATCH_CANARY_PUSH_URL": "https://x"}, ["local"], 1)
    assert {plan.name for plan in plans if "FARWATCH_CANARY_PUSH_URL" in plan.environ} == {"incidents"}
