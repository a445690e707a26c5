"""Reading speech: every source gives the same waveform, and what is wrong is said."""

import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile
import torch
import torchaudio
from sqa_model import AudioError
from sqa_model.audio import load_audio, resample

COMMON = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)


def tone(rate: int, seconds: float = 1.0, hertz: float = 440.0) -> np.ndarray:
    return 0.4 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(16_000), 16_000, subtype="PCM_16")
    return path


def test_every_source_gives_the_same_samples(wav: Path) -> None:
    pcm, _ = soundfile.read(wav, dtype="int16")
    expected = torch.from_numpy(pcm / 32768).float()
    big_endian = pcm.astype(">i2")
    frozen = pcm.copy()
    frozen.flags.writeable = False
    sources = {
        "path": (wav, None),
        "text path": (str(wav), None),
        "file object": (io.BytesIO(wav.read_bytes()), None),
        "int16": (pcm, 16_000),
        "int32": (pcm.astype(np.int32) << 16, 16_000),
        "float32": ((pcm / 32768).astype(np.float32), 16_000),
        "float64": (pcm / 32768, 16_000),
        "big endian": (big_endian, 16_000),
        "read-only": (frozen, 16_000),
        "strided": (np.repeat(pcm, 2)[::2], 16_000),
        "one channel first": (pcm[None], 16_000),
        "one channel last": (pcm[:, None], 16_000),
        "bytes": (wav.read_bytes(), None),
        "array and rate": ((pcm, 16_000), None),
        "rate and array": ((16_000, pcm), None),
        "a rate that is a float": (pcm, 16_000.0),
        "a rate of NumPy": (pcm, np.int32(16_000)),
        "Hugging Face": ({"array": pcm, "sampling_rate": 16_000, "path": None}, None),
        "Hugging Face, as list": ({"array": (pcm / 32768).tolist(), "sampling_rate": 16_000}, None),
        "tensor": (torch.from_numpy(pcm), 16_000),
        "float tensor": (expected, 16_000),
    }
    for name, (source, rate) in sources.items():
        clip = load_audio(source, rate)
        assert torch.allclose(clip.samples, expected, atol=1e-7), name
        assert clip.samples.dtype == torch.float32
        assert (clip.duration_s, clip.sample_rate) == (1.0, 16_000), name
        assert [warning.partition(":")[0] for warning in clip.warnings] == ["no_speech"], name


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".mp3", ".aiff", ".au"])
def test_file_formats(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"tone{suffix}"
    soundfile.write(path, tone(16_000, 2.0), 16_000)
    clip = load_audio(path)
    reference = torch.from_numpy(tone(16_000, 2.0)).float()
    assert abs(clip.duration_s - 2.0) < 0.15  # MP3 adds its frame padding
    n = min(len(clip.samples), len(reference))
    shift = int(np.argmax(scipy.signal.correlate(clip.samples[:n], reference[:n])) - (n - 1))
    middle = slice(4_000, 24_000)
    shifted = torch.roll(clip.samples[:n], -shift)[middle]
    assert (shifted - reference[:n][middle]).abs().max() < 0.05


@pytest.mark.parametrize("rate", [*COMMON, 192_000])
def test_a_tone_survives_every_rate(rate: int) -> None:
    clip = load_audio(tone(rate), rate)
    assert len(clip.samples) == 16_000
    middle = slice(800, -800)
    assert (clip.samples[middle] - torch.from_numpy(tone(16_000))[middle]).abs().max() < 2e-3
    assert any(w.startswith("low_rate") for w in clip.warnings) == (rate < 16_000)


def test_resampling_equals_an_independent_filter() -> None:
    noise = np.random.default_rng(0).standard_normal(48_000) * 0.1
    sos = scipy.signal.butter(12, 6_000, fs=48_000, output="sos")
    noise = scipy.signal.sosfiltfilt(
        sos, noise
    ).copy()  # nothing near the new Nyquist, where filters may differ
    expected = scipy.signal.resample_poly(noise, 1, 3)
    got = resample(torch.from_numpy(noise).float(), 48_000, 16_000).numpy()
    error = np.std((got - expected)[200:-200]) / np.std(expected)
    assert error < 5e-3


@pytest.mark.parametrize("found", COMMON)
def test_resampling_equals_torchaudio(found: int) -> None:
    noise = torch.randn(9_001, generator=torch.Generator().manual_seed(0)) * 0.3
    for wanted in COMMON:
        for clip in (noise, noise[:1], noise[:40]):
            expected = torchaudio.transforms.Resample(found, wanted)(clip)
            got = resample(clip, found, wanted)
            assert got.shape == expected.shape
            assert (got - expected).abs().max() < 1e-6, wanted


@pytest.mark.parametrize(("found", "wanted"), [(4_001, 2_003), (2_003, 4_001)])
def test_odd_rates_have_the_same_filter(found: int, wanted: int) -> None:
    noise = torch.randn(9_001, generator=torch.Generator().manual_seed(0)) * 0.3
    expected = torchaudio.transforms.Resample(found, wanted)(noise)
    got = resample(noise, found, wanted)
    assert got.shape == expected.shape
    assert (got - expected).abs().max() < 3e-4  # torchaudio rounds the places in time to float32


@pytest.mark.parametrize("rate", [44_101, 15_949])
def test_an_odd_rate_does_not_fill_the_memory(rate: int) -> None:
    tracemalloc.start()
    samples = load_audio(tone(rate, 3.0), rate).samples
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert len(samples) == 48_000
    middle = slice(1_600, -1_600)
    assert (samples[middle] - torch.from_numpy(tone(16_000, 3.0))[middle]).abs().max() < 2e-3


def test_channels_are_averaged_or_picked(tmp_path: Path) -> None:
    left, right = tone(16_000), tone(16_000, hertz=1_000)
    both = np.stack([left, right])
    soundfile.write(tmp_path / "both.wav", both.T, 16_000, subtype="DOUBLE")
    mean, second = torch.tensor((left + right) / 2).float(), torch.tensor(right).float()
    for samples in (both, both.T, torch.from_numpy(both), torch.from_numpy(both).t()):
        assert torch.allclose(load_audio(samples, 16_000, layout="channels").samples, mean, atol=1e-7)
        assert torch.allclose(load_audio(samples, 16_000, channel=1).samples, second)
    assert torch.allclose(load_audio(tmp_path / "both.wav").samples, mean, atol=1e-7)
    assert torch.allclose(load_audio(tmp_path / "both.wav", channel=1).samples, second)
    eight = np.tile(left, (8, 1))
    assert torch.allclose(load_audio(eight, 16_000, layout="channels").samples, torch.tensor(left).float())
    with pytest.raises(AudioError, match="no channel 8; the clip has 8"):
        load_audio(eight, 16_000, channel=8)


@pytest.mark.parametrize("samples", [np.zeros((2, 9)), np.zeros((9, 2)), torch.zeros(3, 3)])
def test_two_axes_are_not_guessed_at(samples: np.ndarray | torch.Tensor) -> None:
    with pytest.raises(AudioError, match=r'Pass layout="channels" \(or channel=0\).*layout="clips"'):
        load_audio(samples, 16_000)


def test_warnings_look_at_channels_not_at_their_mean(shared: Path) -> None:
    audio = shared / "cases/audio"
    rate, opposite = load_audio(audio / "stereo_antiphase.wav").warnings
    assert opposite.startswith("opposite: the channels cancel out")
    assert load_audio(audio / "stereo_antiphase.wav", channel=0).warnings == (rate,)


def test_warnings_of_files_that_hold_less_than_they_promise(shared: Path) -> None:
    audio = shared / "cases/audio"
    for name in ("half_of_a_wav.wav", "half_of_an_ogg.ogg", "half_of_an_mp3.mp3"):
        assert any(w.startswith("short_of_header: ") for w in load_audio(audio / name).warnings), name
    assert load_audio(audio / "length_never_written.wav").duration_s > 0.5
    assert load_audio(audio / "gsm610.wav").sample_rate == 8_000
    with pytest.raises(AudioError, match="cannot hold them"):
        load_audio(audio / "mp3_claims_6e9_frames.mp3")


def test_two_axes_nearly_as_long_and_bytes_of_samples() -> None:
    x = np.array([[0, 128, 255], [64, 64, 64]], np.uint8)
    expected = torch.tensor([0, 128, 255], dtype=torch.float32) / 128 - 1
    assert torch.equal(load_audio(x, 16_000, channel=0).samples, expected)
    assert torch.equal(load_audio(x.T, 16_000, channel=0).samples, expected)


def test_gradients_pass_through_resampling() -> None:
    x = torch.from_numpy(tone(48_000)).float().requires_grad_()
    load_audio(x, 48_000).samples.square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("samples", "code"),
    [
        (np.zeros(16_000), "silent"),
        (np.full(16_000, 0.3), "silent"),
        (tone(16_000) * 1e-3, "quiet"),
        (tone(16_000) + 0.2, "dc"),
        (np.clip(tone(16_000) * 10, -1, 1), "clipped"),
        (tone(16_000) * 5, "over_range"),
        (tone(16_000, 0.01), "short"),
        (tone(16_000, 0.3), "short"),
        (np.ones(1), "short"),
    ],
)
def test_warnings(samples: np.ndarray, code: str) -> None:
    warnings = load_audio(samples, 16_000).warnings
    assert code in [w.split(":")[0] for w in warnings]


def test_ordinary_speech_has_no_warning(shared: Path) -> None:
    for path in sorted((shared / "data/speech_samples/vctk_demand_pairs").rglob("*.wav")):
        assert load_audio(path).warnings == ()


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(0), 16_000, "empty"),
        (np.array([0.1, np.nan, np.inf]), 16_000, "2 of 3 samples are NaN or infinite"),
        (np.zeros(100), None, "need a sample_rate"),
        (np.zeros(100), 0, "sampling rate is 0; expected a whole number of 1,000 to 768,000 Hz"),
        (np.zeros(100), 900, "sampling rate is 900; expected"),
        (np.zeros(100), 800_000, "sampling rate is 800000; expected"),
        (np.zeros(100), 22_050.5, "sampling rate is 22050.5; expected a whole number"),
        (np.zeros(100), float("nan"), "sampling rate is nan"),
        (np.zeros(100), True, "sampling rate is True"),
        (np.zeros(100), "16000", "sampling rate is '16000'"),
        ((np.zeros(100), 8_000), 16_000, "own rate is 8000, sample_rate is 16000"),
        ({"bytes": b"", "path": None}, None, "expected one with 'array' and 'sampling_rate'"),
        ({}, None, "a mapping with nothing"),
        (b"no audio at all", None, "not readable as audio"),
        (np.array([0.1, -1e300]), 16_000, r"samples reach 1e\+300; full scale is 1"),
        (np.full(100, 1e20), 16_000, "samples reach 1e.20; full scale is 1"),
        (np.ma.masked_array([0.1, 0.2], [True, False]), 16_000, "masked array"),
        (np.zeros(100, np.uint16), 16_000, "samples are uint16"),
        (np.array(["a"]), 16_000, "samples are <U1"),
        (np.zeros(100, bool), 16_000, "samples are bool"),
        (np.zeros(100, np.complex64), 16_000, "samples are complex64"),
        (torch.zeros(100, dtype=torch.int64), 16_000, "int64"),
        (np.zeros((2, 2, 100)), 16_000, "3 axes"),
        (42, None, "cannot read speech from int"),
    ],
)
def test_bad_samples(samples: object, rate: int | None, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        load_audio(samples, rate)  # type: ignore[arg-type]


def test_bad_files(wav: Path, tmp_path: Path) -> None:
    cases = {
        "empty.wav": (b"", "empty"),
        "header.wav": (wav.read_bytes()[:20], "not readable as audio"),
        "text.wav": (b"this is not audio, whatever its name says\n" * 9, "not readable as audio"),
        "no samples.wav": (wav.read_bytes()[:44], "no samples|not readable"),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(AudioError, match=message):
            load_audio(path)
    with pytest.raises(AudioError, match="no such file"):
        load_audio(tmp_path / "absent.wav")
    with pytest.raises(AudioError, match="folder"):
        load_audio(tmp_path)
    with pytest.raises(AudioError, match="sample_rate is for samples"):
        load_audio(wav, 16_000)
    unreadable = tmp_path / "secret.wav"
    unreadable.write_bytes(wav.read_bytes())
    unreadable.chmod(0)
    if not os.access(unreadable, os.R_OK):  # root reads everything
        with pytest.raises(AudioError, match="permission denied"):
            load_audio(unreadable)


def test_odd_names(wav: Path, tmp_path: Path) -> None:
    for name in ("with space.wav", "ünïcødé 日本語.wav", "-dash.wav", "quote'\".wav"):
        path = tmp_path / name
        path.write_bytes(wav.read_bytes())
        assert load_audio(path).duration_s == 1.0


def test_a_truncated_file_gives_what_is_there(wav: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    path.write_bytes(wav.read_bytes()[: 44 + 16_000])
    assert load_audio(path).duration_s == 0.5
