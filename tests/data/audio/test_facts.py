"""Facts look at the channels one by one, and at what their mean loses."""

from pathlib import Path

import numpy as np
import pytest
from sqa_data.audio import Fact, hear, mixed, signal_facts

RATE = 16_000


def tone(hertz: float = 440.0, frames: int = RATE) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(frames) / RATE)).astype(np.float32)


def told(*channels: np.ndarray) -> list[str]:
    samples = np.ascontiguousarray(np.stack(channels, axis=1), np.float32)
    return [str(fact) for fact in signal_facts(samples)]


@pytest.mark.parametrize(
    ("samples", "facts"),
    [
        (tone(), []),
        (np.zeros(RATE), ["silent: all samples are zero"]),
        (np.full(RATE, 0.3), ["silent: all samples are 0.3"]),
        (np.ones(1), ["silent: all samples are 1"]),
        (tone() * 1e-3, ["quiet: -71 dB of full scale"]),
        (
            tone() * 1e-3 + 0.3,
            [
                "dc: the mean is 0.30",
                "quiet: -71 dB of full scale",
                "clipped: 1.5 % of the samples lie flat at the peak",
            ],
        ),
        (tone() + 0.2, ["dc: the mean is 0.20"]),
        (np.clip(tone() * 10, -1, 1), ["clipped: 78.0 % of the samples lie flat at the peak"]),
        (tone() * 2.501, []),
        (tone() * 5, ["over_range: the peak is 2, outside -1..1"]),
        (tone(frames=0), []),
    ],
)
def test_of_one_channel(samples: np.ndarray, facts: list[str]) -> None:
    assert told(samples) == facts


def plain(x: np.ndarray) -> list[str]:
    """The definition, as version 0.1.0 computed it of the mixed samples."""
    x = x.astype(np.float64)
    if x.min() == x.max():
        return ["silent"]
    peak = np.abs(x).max()
    flat = (np.abs(x[1:]) >= 0.999 * peak) & (np.abs(np.diff(x)) <= 1e-5 * peak)
    found = {
        "dc": abs(x.mean()) > 0.05,
        "quiet": 20 * np.log10(x.std()) < -50,
        "over_range": peak > 1.001,
        "clipped": flat.sum() / len(x) > 1e-3,
    }
    return [code for code, holds in found.items() if holds]


@pytest.mark.parametrize("frames", [2, 3, 1000, 65_536, 65_537, 150_000])
def test_equals_the_definition(frames: int) -> None:
    rng = np.random.default_rng(frames)
    for _ in range(40):
        x = rng.normal(rng.choice([0, 0, 0.08]), 10 ** rng.uniform(-4, 0.5), frames)
        if rng.random() < 0.5:
            x = np.clip(x, *sorted(rng.uniform(-2, 2, 2)))
        x = x.astype(np.float32)
        assert [fact.code for fact in signal_facts(x[:, None])] == plain(x)


def test_flat_samples_are_seen_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    clipped = np.clip(tone(frames=1000) * 10, -1, 1)
    expected = told(clipped, clipped / 2)
    monkeypatch.setattr("sqa_data.audio.facts.BLOCK", 2)
    assert told(clipped, clipped / 2) == expected


def test_each_channel_is_looked_at() -> None:
    assert told(tone(), np.zeros(RATE)) == ["silent: channel 1: all samples are zero"]
    assert told(np.zeros(RATE), np.zeros(RATE)) == ["silent: all samples are zero"]
    assert told(tone() + 0.2, tone(300) - 0.3) == [
        "dc: channel 0: the mean is 0.20; channel 1: the mean is -0.30"
    ]
    many = told(*[tone(100 + 50 * i) * 1e-3 * (i + 1) for i in range(9)], tone())
    assert many == [
        "quiet: channel 0: -71 dB of full scale; channel 1: -65 dB of full scale; channel 2: -61 dB of full scale; "
        "channel 3: -59 dB of full scale; and 5 more channels"
    ]


def test_opposite_channels() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 0.1, (2, RATE)).astype(np.float32)
    ends = "dB below them; take one channel instead"
    assert told(a, -a) == [f"opposite: the channels cancel out: their mean is 120 {ends}"]
    assert told(a, b * 0.1 - a) == [f"opposite: the channels cancel out: their mean is 26 {ends}"]
    assert told(a, -0.4 * a) == []  # the mean is weaker, but it is the speech
    assert told(a, a) == told(a, b) == []
    assert told(a, -a, b) == []
    almost = (told(a, -0.95 * a + 0.31 * b), told(a, -0.8 * a + 0.6 * b))  # correlations of -.95 and -.8
    assert [len(facts) for facts in almost] == [1, 0]
    assert [text.partition(":")[0] for text in told(a + 0.3, 0.3 - a)] == ["dc", "opposite"]
    assert [text.partition(":")[0] for text in told(a, -a, 0.01 * b)] == ["quiet", "opposite"]


def test_the_antiphase_case(shared: Path) -> None:
    heard = hear(shared / "cases" / "audio" / "stereo_antiphase.wav")
    assert [fact.code for fact in signal_facts(heard.samples, heard.sample_rate)] == ["opposite"]


def test_ordinary_speech_has_no_facts(shared: Path) -> None:
    for path in sorted((shared / "data/speech_samples/vctk_demand_pairs").rglob("*.wav")):
        heard = hear(path)
        assert signal_facts(heard.samples, heard.sample_rate) == heard.facts == ()


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 7, 8, 9, 20])
def test_mixed_is_the_mean_to_the_last_bit(channels: int) -> None:
    samples = np.random.default_rng(channels).normal(0, 0.3, (1000, channels)).astype(np.float32)
    mix = mixed(samples)
    assert mix.dtype == np.float32
    np.testing.assert_array_equal(mix, samples.mean(axis=1))
    np.testing.assert_array_equal(mix, samples.T.mean(axis=0))


def test_a_fact_reads_as_code_and_text() -> None:
    assert str(Fact("silent", "all samples are zero")) == "silent: all samples are zero"


def test_short_clips_are_told_where_the_rate_is_known() -> None:
    short = np.random.default_rng(0).normal(0, 0.1, (RATE // 2 - 1, 1))
    assert list(map(str, signal_facts(short[:400], RATE))) == [
        f"short: {400 / RATE:g} s; scores of clips under 0.5 s are unreliable"
    ]
    assert [fact.code for fact in signal_facts(short, RATE)] == ["short"]
    assert "short" not in [fact.code for fact in signal_facts(short, 2 * len(short))]
    assert signal_facts(short) == ()


def test_whether_it_is_speech_is_judged_where_the_rate_is_known() -> None:
    for channels in (1, 2):
        samples = np.repeat(tone()[:, None], channels, axis=1)
        assert [fact.code for fact in signal_facts(samples, RATE)] == ["no_speech"]
        assert signal_facts(samples) == ()
    # a channel that is silent, or a mean that holds nothing, is told; more would be confusing
    assert [fact.code for fact in signal_facts(np.stack([tone(), -tone()], axis=1), RATE)] == ["opposite"]
    assert [fact.code for fact in signal_facts(np.full((RATE, 1), 0.3), RATE)] == ["silent"]
