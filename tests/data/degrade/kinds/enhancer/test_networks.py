"""GTCRN and DTLN: the networks as their authors run them, fresh for each clip, and away without weights."""

from pathlib import Path

import numpy as np
import pytest
from degrading import RATE, apply, enhance, noise, speech_like
from sqa_data.degrade.kind import Surroundings
from sqa_data.degrade.kinds.enhancer.networks import KINDS, dtln, gtcrn

NOISY = speech_like(1.5) + 0.2 * noise(1.5)


@pytest.fixture
def models(shared: Path) -> Path:
    pytest.importorskip("onnxruntime")
    return shared / "models"


@pytest.mark.parametrize("rate", [8000, *(pytest.param(r, marks=pytest.mark.slow) for r in (22_050, 48_000))])
@pytest.mark.parametrize("kind", list(KINDS))
def test_hiss_goes_and_speech_stays(kind: str, rate: int, models: Path) -> None:
    mild, hard = (enhance(kind, severity, rate, models=models) for severity in (0.0, 1.0))
    assert 5 < mild[0] < 7  # half of the hiss is 6 dB less
    assert hard[0] > 20
    assert min(mild[1], hard[1]) > 0.94
    assert mild[2] == hard[2] == 0


def test_gtcrn_is_that_of_its_authors(models: Path) -> None:
    """Their stream: frames of 512 at a hop of 256 under the root of a Hann window, caches from call to call."""
    import onnxruntime

    session = onnxruntime.InferenceSession(models / "gtcrn" / "gtcrn_simple.onnx")
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512))
    caches = {
        "conv_cache": np.zeros((2, 1, 16, 16, 33), np.float32),
        "tra_cache": np.zeros((2, 3, 1, 1, 16), np.float32),
        "inter_cache": np.zeros((2, 1, 33, 16), np.float32),
    }
    padded, out = np.pad(NOISY, (512, 512)), np.zeros(len(NOISY) + 1024)
    for start in range(0, len(padded) - 511, 256):
        spectrum = np.fft.rfft(padded[start : start + 512] * window)
        mix = np.stack([spectrum.real, spectrum.imag], -1).astype(np.float32)[None, :, None]
        made, *after = session.run(None, {"mix": mix, **caches})
        caches = dict(zip(caches, after, strict=True))
        out[start : start + 512] += np.fft.irfft(made[0, :, 0, 0] + 1j * made[0, :, 0, 1]) * window
    expected = out[512:-512]
    error = gtcrn(NOISY, Surroundings(models=models)) - expected
    assert np.sqrt(np.mean(error**2) / np.mean(expected**2)) < 0.02  # our window is half a sample away


def test_dtln_is_that_of_its_authors(models: Path) -> None:
    """Their stream: a buffer of 512 moved on by 128, both networks on it, and what they make added up."""
    import onnxruntime

    first, second = (
        onnxruntime.InferenceSession(models / "dtln" / f"model_{number}.onnx") for number in (1, 2)
    )
    memory = [np.zeros((1, 2, 128, 2), np.float32)] * 2
    heard, made, out = np.zeros(512), np.zeros(512), []
    for start in range(0, len(NOISY) - 127, 128):
        heard = np.concatenate([heard[128:], NOISY[start : start + 128]])
        spectrum = np.fft.rfft(heard)
        given = {"input_2": np.abs(spectrum).astype(np.float32)[None, None], "input_3": memory[0]}
        mask, memory[0] = first.run(None, given)
        block = np.fft.irfft(mask[0, 0] * np.abs(spectrum) * np.exp(1j * np.angle(spectrum)))
        block, memory[1] = second.run(
            None, {"input_4": block.astype(np.float32)[None, None], "input_5": memory[1]}
        )
        made = np.concatenate([made[128:], np.zeros(128)]) + block[0, 0]
        out.append(made[:128])
    expected = np.concatenate(out)[384:]
    np.testing.assert_allclose(dtln(NOISY, Surroundings(models=models))[: len(expected)], expected, atol=1e-4)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_clip_begins_afresh(kind: str, models: Path) -> None:
    first, _ = apply(kind, NOISY, 1.0, models=models)
    apply(kind, noise(), 1.0, models=models)
    again, step = apply(kind, NOISY, 1.0, models=models)
    np.testing.assert_array_equal(first, again)
    assert step["wet"] == 1.0
    assert np.isfinite(apply(kind, 0 * NOISY, 1.0, models=models)[0]).all()


def test_the_mix_is_what_it_says(models: Path) -> None:
    for severity, wet in ((0.0, 0.5), (0.5, 0.75), (1.0, 1.0)):
        y, step = apply("gtcrn", NOISY, severity, models=models)
        assert (step["wet"], step["rate_hz"]) == (wet, RATE)
        np.testing.assert_allclose(
            y, wet * gtcrn(NOISY, Surroundings(models=models)) + (1 - wet) * NOISY, atol=1e-12
        )
