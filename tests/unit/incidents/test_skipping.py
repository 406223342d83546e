"""The share of a region's slots that were skipped lately."""

from farwatch_incidents.skipping import WINDOW_SECONDS, Skipping, Slots


def test_nothing_is_known_before_anything_was_counted() -> None:
    assert Skipping().read(0.0) == {}
    assert Slots().share == 0


def test_what_came_before_the_first_reading_is_of_another_time() -> None:
    skipping = Skipping()
    skipping.count({"eu": 100}, {"eu": 100})
    assert skipping.read(0.0) == {"eu": Slots(0, 0)}


def test_it_is_counted_over_the_window_and_by_region() -> None:
    skipping, found = Skipping(), []
    for second in range(0, 120, 5):
        skipping.count({"eu": 50, "us": 10}, {"eu": 5 if 20 < second <= 40 else 0})
        found.append(skipping.read(float(second)))
    assert WINDOW_SECONDS == 30
    assert [slots["us"].share for slots in found] == [0.0] * len(found)
    assert found[6]["eu"] == Slots(300, 10)
    assert found[8]["eu"] == found[10]["eu"] == Slots(300, 20)
    assert found[8]["eu"].share == 20 / 300
    assert found[13]["eu"] == Slots(300, 5)
    assert found[14]["eu"] == Slots(300, 0)


def test_a_region_that_is_heard_later() -> None:
    skipping = Skipping()
    skipping.read(0.0)
    skipping.count({"eu": 4}, {"eu": 1})
    assert skipping.read(5.0) == {"eu": Slots(4, 1)}
