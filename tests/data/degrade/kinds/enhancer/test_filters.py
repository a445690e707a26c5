"""FFmpeg's denoisers: what they take away, what they leave, and when; they say their options."""

import pytest
from degrading import apply, enhance, skip_without, speech_like
from sqa_data.degrade.ffmpeg import filtered


@pytest.mark.parametrize("rate", [8000, 48_000])
@pytest.mark.parametrize(("kind", "hard_db"), [("afftdn", 90), ("anlmdn", 15)])
def test_hiss_goes_and_speech_stays(kind: str, hard_db: float, rate: int) -> None:
    skip_without(kind)
    mild, hard = (enhance(kind, severity, rate) for severity in (0.0, 1.0))
    assert mild[0] < 1
    assert hard[0] > hard_db
    assert min(mild[1], hard[1]) > 0.9
    assert mild[2] == hard[2] == 0


@pytest.mark.parametrize(
    ("kind", "mildest", "worst"),
    [("afftdn", {"nr": 6, "nf": -50}, {"nr": 97, "nf": -20}), ("anlmdn", {"s": 1e-4}, {"s": 1000})],
)
def test_options_are_those_that_it_says(
    kind: str, mildest: dict[str, float], worst: dict[str, float]
) -> None:
    skip_without(kind)
    x = speech_like()
    for severity, options in ((0.0, mildest), (1.0, worst)):
        y, step = apply(kind, x, severity)
        assert {option: step[option] for option in options} == options
        written = ":".join(f"{option}={value}" for option, value in options.items())
        assert y == pytest.approx(filtered(x, 16_000, (kind, written)))
