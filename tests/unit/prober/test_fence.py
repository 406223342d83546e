"""An overtaken scheduler is refused, what it asked for before is not."""

import pytest

from farwatch_prober.fence import Fence


@pytest.mark.parametrize(
    ("seen", "asked", "admitted"),
    [
        ([], (1, 1000), True),
        ([(1, 1000)], (1, 900), True),
        ([(1, 1000), (2, 5000)], (1, 4900), True),  # a backlog, or again after a prober died
        ([(1, 1000), (2, 5000)], (1, 5000), False),  # overtaken, and does not know it
        ([(1, 1000), (2, 5000)], (1, 6000), False),
        ([(2, 5000), (2, 3000)], (1, 4000), False),  # the newer one began earlier than we saw first
        ([(2, 5000)], (3, 1000), True),  # the clock was set back
        ([(2, 5000), (3, 1000)], (2, 5000), False),
    ],
)
def test_what_is_admitted(seen: list[tuple[int, int]], asked: tuple[int, int], admitted: bool) -> None:
    fence = Fence()
    assert all(fence.admits(*each) for each in seen)
    assert fence.admits(*asked) is admitted
