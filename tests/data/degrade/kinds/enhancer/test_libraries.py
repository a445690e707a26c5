"""SpeexDSP, RNNoise, DeepFilterNet3: what they take away, what they leave, and when."""

import pytest
from degrading import enhance, skip_without


@pytest.mark.parametrize("rate", [8000, 48_000])
@pytest.mark.parametrize(
    ("kind", "mild_db", "hard_db"),
    [("speexdsp", 10, 28), ("rnnoise", 6, 30), ("deepfilternet", 6, 30)],
)
def test_hiss_goes_and_speech_stays(kind: str, mild_db: float, hard_db: float, rate: int) -> None:
    skip_without(kind)
    mild, hard = (enhance(kind, severity, rate) for severity in (0.0, 1.0))
    assert mild[0] == pytest.approx(mild_db, abs=0.5)
    assert hard[0] > hard_db
    assert min(mild[1], hard[1]) > 0.9
    assert mild[2] == hard[2] == 0
