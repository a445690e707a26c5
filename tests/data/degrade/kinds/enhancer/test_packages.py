"""WebRTC's suppression and noisereduce: what they take away, what they leave, and when."""

import pytest
from degrading import RATE, apply, enhance, skip_without, speech_like
from sqa_data.degrade.signal import level_dbfs


@pytest.mark.parametrize("rate", [8000, 48_000])
@pytest.mark.parametrize(("kind", "more_db"), [("webrtc-ns", 12), ("noisereduce", 25)])
def test_hiss_goes_and_speech_stays(kind: str, more_db: float, rate: int) -> None:
    skip_without(kind)
    mild, hard = (enhance(kind, severity, rate) for severity in (0.0, 1.0))
    assert hard[0] > mild[0] + more_db
    assert min(mild[1], hard[1]) > 0.9
    assert mild[2] == hard[2] == 0


def test_gain_control_is_on_for_half_of_the_clips() -> None:
    """Speech of a low level leaves it louder with, and no louder without."""
    skip_without("webrtc-ns")
    quiet = 0.1 * speech_like(2.0)
    levels: dict[float | str, list[float]] = {0: [], 1: []}
    for seed in range(8):
        y, step = apply("webrtc-ns", quiet, 0.0, seed)
        levels[step["gain_control"]].append(level_dbfs(y, RATE))
    assert min(levels[1]) > max(levels[0]) + 3
    assert max(levels[0]) < level_dbfs(quiet, RATE) + 0.5


def test_the_share_of_the_noise_that_is_taken_is_what_it_says() -> None:
    skip_without("noisereduce")
    for severity, share in ((0.0, 0.5), (0.5, 0.75), (1.0, 1.0)):
        assert apply("noisereduce", speech_like(), severity)[1]["share"] == share
