"""What the demo's target answers."""

import dns.message
import dns.rcode
import pytest

from farwatch_cli.demo_target import SHOP_NAME, answer, answer_name


@pytest.mark.parametrize(
    ("name", "kind", "code", "values"),
    [
        (SHOP_NAME, "A", "NOERROR", ["127.0.0.1"]),
        (SHOP_NAME.upper(), "A", "NOERROR", ["127.0.0.1"]),
        (SHOP_NAME, "AAAA", "NOERROR", []),
        ("else.example.test", "A", "NXDOMAIN", []),
    ],
)
def test_it_knows_the_name_of_the_shop_and_nothing_else(name: str, kind: str, code: str, values: list[str]) -> None:
    asked = dns.message.make_query(name, kind)
    told = answer_name(asked.to_wire())
    assert told is not None
    reply = dns.message.from_wire(told)
    assert asked.is_response(reply)
    assert dns.rcode.to_text(reply.rcode()) == code
    assert [str(each) for rows in reply.answer for each in rows] == values


@pytest.mark.parametrize("garbage", [b"", b"\0", b"\xff" * 40, bytes(12)])
def test_what_is_no_question_has_no_answer(garbage: bytes) -> None:
    assert answer_name(garbage) is None


@pytest.mark.parametrize(
    ("path", "second", "status"), [("/checkout", 10, 503), ("/checkout", 60, 200), ("/", 10, 200), ("/x", 10, 404)]
)
def test_pages_follow_the_clock(path: str, second: float, status: int) -> None:
    assert answer(path, second)[0] == status


def test_the_search_is_slow_while_all_else_is_well() -> None:
    assert answer("/search", 150)[2] > 1 > answer("/search", 10)[2]
    assert answer("/checkout", 150)[0] == 200
