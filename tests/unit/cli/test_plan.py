import pytest

from farwatch_cli.plan import server_of


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("postgresql://a:b@127.0.0.1:24001/farwatch", "127.0.0.1:24001"),
        ("postgresql://a:b@db.internal/farwatch", "db.internal:5432"),
        ("postgresql://a@[fd00::1]:5433/farwatch", "[fd00::1]:5433"),
        ("postgresql:///farwatch?host=/run/postgresql", None),
        ("postgresql://%2Frun%2Fpostgresql/farwatch", None),
        ("postgresql://a:b@db:port/farwatch", None),
        ("", None),
    ],
)
def test_the_server_of_a_database_url(url: str, server: str | None) -> None:
    assert server_of(url) == server
