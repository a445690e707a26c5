"""The collector of dead cycles is off inside, and as before afterwards, whatever happens."""

import gc

import pytest
from sqa_metrics.collector import collector_off


@pytest.mark.parametrize("before", [True, False])
def test_the_collector_is_as_before(before: bool) -> None:
    @collector_off()
    def failing() -> None:
        seen.append(gc.isenabled())
        raise KeyError

    was_on, seen = gc.isenabled(), list[bool]()
    try:
        (gc.enable if before else gc.disable)()
        with pytest.raises(KeyError):
            failing()
        assert (seen, gc.isenabled()) == ([False], before)
    finally:
        (gc.enable if was_on else gc.disable)()
