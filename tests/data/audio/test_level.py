"""Active speech level: by the definition of ITU-T P.56, sample by sample, and the bytes of sv56demo."""

import hashlib
import math

import numpy as np
import pytest
from sqa_data.audio.level import active_level, with_active_level


def speech(seed: int, sample_rate: int, peak: int, pause: float) -> np.ndarray:
    """(frames,) int16: two seconds of bursts of noise whose loudness varies, with pauses; the same everywhere."""
    draw = np.random.RandomState(seed)  # its numbers never change
    parts = []
    for _ in range(8):
        length = sample_rate // 4
        loud = draw.randint(1, peak + 1) if draw.random_sample() > pause else draw.randint(1, 3)
        parts.append(draw.randint(-loud, loud + 1, length))
    return np.concatenate(parts).astype(np.int16)


CASES = [
    # seed, Hz, peak, pauses, dBov; what sv56demo of ITU-T G.191 (release of 2010) made of it: its level to three
    # digits (None: "silence or idle noise"), MD5 of the 16-bit samples it wrote, little-endian
    (1, 16000, 12000, 0.4, -26.0, -21.236, "d1bfe71a49945820508797038451b316"),
    (2, 16000, 32000, 0.1, -26.0, -16.251, "74b761d21e9c7085cb442d8f6d97ead9"),
    (5, 8000, 2000, 0.6, -26.0, -32.287, "e6401e484e8edf525c6fff2668d54b9c"),
    (6, 48000, 20000, 0.3, -26.0, -16.302, "1a27101701c23ba86ef7dcf19df95907"),
    (7, 16000, 3000, 0.8, -6.0, -32.052, "6306060d65c7ca2f552cce52484c40a6"),
    (8, 16000, 2, 0.0, -26.0, None, "caa0fcadd2388e2ed53972bf086d6da5"),
    (9, 16000, 900, 0.5, -26.0, -40.511, "e7fdf3b732a48279fa4b26b7e5c0ab60"),
    (10, 22050, 15000, 0.9, -30.0, -28.537, "d72510d013cf665a63b827f4aaf64fc5"),
    (11, 16000, 25000, 0.5, -26.0, -13.937, "e53afe3f86c84822f02aa53c06ad3986"),
    (12, 16000, 4000, 0.5, -26.0, -25.555, "50655dd294231bec830019295c2d6fe7"),
]


def by_definition(samples: np.ndarray, sample_rate: int) -> float:
    """ITU-T P.56 (12/2011), 6.2 to 6.5, one sample after the other."""
    keep, hangover = math.exp(-1 / (sample_rate * 0.03)), math.floor(0.2 * sample_rate + 0.5)
    thresholds = [2.0**-i for i in range(15, 0, -1)]
    active, since = [0] * 15, [hangover] * 15
    p = q = energy = 0.0
    for x in samples:
        energy += x * x
        p = keep * p + (1 - keep) * abs(x)
        q = keep * q + (1 - keep) * p
        for j, threshold in enumerate(thresholds):
            since[j] = 0 if q >= threshold else since[j] + 1
            active[j] += since[j] <= hangover and (q >= threshold or since[j] > 0)
    return interpolated(energy, active, thresholds)


def interpolated(energy: float, active: list[int], thresholds: list[float]) -> float:
    before: tuple[float, float] | None = None
    for count, threshold in zip(active, thresholds, strict=True):
        if not count:
            break
        level = 10 * math.log10(energy / count)
        over = level - 20 * math.log10(threshold) - 15.9
        if over <= 0:
            if before is None:
                break
            return before[0] + (level - before[0]) * before[1] / (before[1] - over)
        before = level, over
    return -math.inf


@pytest.mark.parametrize(
    ("sample_rate", "peak", "pause"), [(8000, 9000, 0.5), (16000, 30000, 0.2), (22050, 300, 0.7)]
)
def test_level_by_the_definition(sample_rate: int, peak: int, pause: float) -> None:
    samples = speech(3, sample_rate, peak, pause) / 32768
    assert active_level(samples, sample_rate) == pytest.approx(by_definition(samples, sample_rate), abs=1e-9)
    as_sv56 = active_level(samples, sample_rate, as_sv56=True)
    assert as_sv56 == pytest.approx(active_level(samples, sample_rate), abs=0.5)


def test_a_gain_moves_the_level_by_itself() -> None:
    samples = speech(4, 16000, 8000, 0.4) / 32768
    level = active_level(samples, 16000)
    # six decibels are one threshold: the same counts, one threshold further
    assert active_level(samples / 2, 16000) == pytest.approx(level - 20 * math.log10(2), abs=1e-9)
    # pauses do not count, but for the hangover of 0.2 s
    longer = np.concatenate([samples, np.zeros(160_000)])
    assert active_level(longer, 16000) == pytest.approx(
        active_level(np.pad(samples, (0, 4000)), 16000), abs=1e-9
    )


@pytest.mark.parametrize(
    "samples", [np.zeros(1600), np.zeros(0), np.full(100, 1e-6)], ids=["zeros", "none", "idle"]
)
def test_without_speech_there_is_no_level(samples: np.ndarray) -> None:
    assert active_level(samples, 16000) == -math.inf
    assert active_level(samples, 16000, as_sv56=True) == -math.inf


def test_what_is_no_mono_signal_is_refused() -> None:
    with pytest.raises(ValueError, match="expected mono"):
        active_level(np.zeros((10, 2)), 16000)
    with pytest.raises(ValueError, match="rate 0"):
        active_level(np.zeros(10), 0)


@pytest.mark.parametrize(("seed", "sample_rate", "peak", "pause", "dbov", "level", "md5"), CASES)
def test_the_bytes_of_sv56demo(
    seed: int, sample_rate: int, peak: int, pause: float, dbov: float, level: float | None, md5: str
) -> None:
    pcm = speech(seed, sample_rate, peak, pause)
    found = active_level(pcm / 32768, sample_rate, as_sv56=True)
    assert found == -math.inf if level is None else found == pytest.approx(level, abs=0.0006)
    levelled = with_active_level(pcm, sample_rate, dbov)
    assert levelled.dtype == np.int16
    assert hashlib.md5(levelled.astype("<i2").tobytes()).hexdigest() == md5
