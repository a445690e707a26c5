"""Each adapter's value equals its own package's on the same real file; every failure is one clear error."""

import contextlib
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import soundfile as sf
import soxr
from sqa_data.annotate.workers import load
from sqa_data.audio import AudioError
from sqa_data.labellers import LABELS as KNOWN
from sqa_data.labellers import ClipError, Signals, adapter_of
from sqa_data.labellers.intrusive import MCEP

RATE = 16000


def value(label: str, path: Path, reference: Path | None = None, fast: bool = False) -> float:
    return dict(load(adapter_of(label), "cpu", fast)(Signals(path, reference)))[label]


@pytest.fixture(scope="session")
def samples(shared: Path) -> Path:
    return shared / "data" / "speech_samples"


@pytest.fixture(scope="session")
def alone(samples: Path) -> list[Path]:
    """Real speech: 16 kHz clean and lossy, 8, 32 and 48 kHz."""
    return [
        samples / "plcmos_examples" / "clean.wav",
        samples / "plcmos_examples" / "plc_poor.wav",
        samples / "lyra_testdata" / "sample1_48kHz.wav",
        samples / "lyra_testdata" / "sample2_32kHz.wav",
        samples / "lyra_testdata" / "sample2_8kHz.wav",
    ]


@pytest.fixture(scope="session")
def pairs(samples: Path) -> list[tuple[Path, Path]]:
    """(reference, degraded): 16 kHz babble and Opus, 48 kHz office noise."""
    clean, noisy = (
        sorted((samples / "vctk_demand_pairs" / kind).iterdir())[0] for kind in ("clean", "noisy")
    )
    return [
        (samples / "pesq_pair" / "speech.wav", samples / "pesq_pair" / "speech_bab_0dB.wav"),
        (samples / "scoreq_pair" / "ref.wav", samples / "scoreq_pair" / "opus.wav"),
        (clean, noisy),
    ]


def optional(name: str) -> Any:
    """A package that is not among the developers' dependencies, or skip."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name)


def read(path: Path) -> tuple[np.ndarray, int]:
    samples, rate = sf.read(path, dtype="float32")
    return samples, rate


@pytest.mark.slow
def test_distill_mos(alone: list[Path]) -> None:
    import distillmos
    import torch
    import torchaudio

    with contextlib.redirect_stdout(io.StringIO()):
        model = distillmos.ConvTransformerSQAModel().eval()
    for path in alone[:3]:
        samples, rate = read(path)
        wave = torch.from_numpy(samples)[None]
        if rate != RATE:
            wave = torchaudio.transforms.Resample(rate, RATE)(wave)
        with torch.no_grad():
            expected = model(wave).item()
        assert value("distill_mos", path) == pytest.approx(expected, abs=1e-6)
        assert value("distill_mos", path, fast=True) == pytest.approx(expected, abs=0.03)


@pytest.mark.slow
def test_distill_mos_of_its_command(
    alone: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The `distillmos` command itself; its reader wants torchcodec, so soundfile reads for it."""
    import distillmos.sqa as package
    import torch

    def load(path: str) -> tuple[Any, int]:
        samples, rate = sf.read(path, dtype="float32", always_2d=True)
        return torch.from_numpy(samples.T.copy()), rate

    monkeypatch.setattr(package.torchaudio, "load", load)
    folder = tmp_path / "clips"
    folder.mkdir()
    for path in alone[1:4]:
        (folder / path.name).symlink_to(path)
    monkeypatch.setattr(sys, "argv", ["distillmos", str(folder), "-o", str(tmp_path / "out.csv")])
    package.command_line_inference()
    rows = [line.rsplit(", ", 1) for line in (tmp_path / "out.csv").read_text().splitlines()[1:]]
    assert {Path(name).name for name, _ in rows} == {path.name for path in alone[1:4]}
    for name, expected in rows:
        assert value("distill_mos", Path(name)) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of librosa's other reader
@pytest.mark.slow
def test_dnsmos(alone: list[Path]) -> None:
    from speechmos import dnsmos

    for path in (alone[1], alone[2], alone[4]):
        expected = dnsmos.run(str(path), RATE)
        for label, key in (
            ("dnsmos_ovrl", "ovrl_mos"),
            ("dnsmos_sig", "sig_mos"),
            ("dnsmos_bak", "bak_mos"),
            ("dnsmos_p808", "p808_mos"),
        ):
            assert value(label, path) == pytest.approx(float(expected[key]), abs=2e-5), (path, label)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of librosa's other reader
def test_plcmos(alone: list[Path]) -> None:
    """The package draws its raters at random: ours are within its spread, and repeat."""
    from speechmos import plcmos

    for path in alone[:2]:
        runs = [plcmos.run(str(path), RATE)["plcmos"] for _ in range(4)]
        assert value("plcmos", path) == pytest.approx(np.mean(runs), abs=max(0.05, 4 * np.std(runs)))
        assert value("plcmos", path) == value("plcmos", path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of librosa's other reader
def test_plcmos_with_the_same_raters(alone: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from speechmos import plcmos

    raters = iter(np.random.default_rng(0).standard_normal((15, 1, 64)).astype(np.float32))
    monkeypatch.setattr(np.random, "normal", lambda size: next(raters))
    expected = plcmos.PLCMOS()(str(alone[0]))["plcmos"]
    assert value("plcmos", alone[0]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("label", ["pesq", "pesqc2"])
def test_pesq(label: str, pairs: list[tuple[Path, Path]], samples: Path) -> None:
    package = pytest.importorskip(label, exc_type=ImportError)
    for reference, degraded in pairs[:2]:
        (ref, rate), (deg, _) = read(reference), read(degraded)
        assert rate == RATE
        length = min(len(ref), len(deg))
        expected = package.pesq(rate, ref[:length], deg[:length], "wb")
        assert value(label, degraded, reference) == pytest.approx(expected, abs=1e-6)
    narrow, _ = read(samples / "lyra_testdata" / "sample1_8kHz.wav")
    path = samples / "lyra_testdata" / "sample1_8kHz.wav"
    assert value(label, path, path) == pytest.approx(package.pesq(8000, narrow, narrow, "nb"), abs=1e-6)


def test_pesq_of_the_literature(pairs: list[tuple[Path, Path]]) -> None:
    """The package's README gives 1.083 for this pair."""
    assert value("pesq", pairs[0][1], pairs[0][0]) == pytest.approx(1.0832337141036987, abs=1e-4)


@pytest.mark.parametrize(("label", "extended"), [("stoi", False), ("estoi", True)])
def test_stoi(label: str, extended: bool, pairs: list[tuple[Path, Path]]) -> None:
    import pystoi

    for reference, degraded in pairs:
        (ref, rate), (deg, _) = read(reference), read(degraded)
        length = min(len(ref), len(deg))
        expected = pystoi.stoi(ref[:length], deg[:length], rate, extended=extended)
        assert value(label, degraded, reference) == pytest.approx(expected, abs=1e-9)


def test_sdr(pairs: list[tuple[Path, Path]]) -> None:
    """Against its definition: the part of the clip that a 512-tap filter makes of the reference, and the rest."""
    for reference, degraded in pairs[:2]:
        ref, deg = (read(p)[0].astype(np.float64) for p in (reference, degraded))
        length = min(len(ref), len(deg))
        ref, deg = ref[:length], deg[:length]
        size = 2 ** int(np.ceil(np.log2(2 * length)))
        spectrum = np.fft.rfft(ref, size)
        auto = np.fft.irfft(np.abs(spectrum) ** 2)[:512]
        cross = np.fft.irfft(np.conj(spectrum) * np.fft.rfft(deg, size))[:512]
        target = np.convolve(ref, scipy.linalg.solve_toeplitz(auto, cross))
        error = np.pad(deg, (0, len(target) - length)) - target
        expected = 10 * np.log10(np.sum(target**2) / np.sum(error**2))
        assert value("sdr", degraded, reference) == pytest.approx(expected, abs=1e-3)
    assert value("sdr", pairs[0][0], pairs[0][0]) == pytest.approx(50.0, abs=0.01)


def test_si_sdr(pairs: list[tuple[Path, Path]]) -> None:
    fast_bss_eval = pytest.importorskip("fast_bss_eval")

    for reference, degraded in pairs:
        ref, deg = (read(p)[0].astype(np.float64) for p in (reference, degraded))
        length = min(len(ref), len(deg))
        expected = fast_bss_eval.si_sdr(ref[None, :length], deg[None, :length], zero_mean=True)
        assert value("si_sdr", degraded, reference) == pytest.approx(float(expected[0]), abs=1e-6)


def test_si_sdr_is_clamped_as_sdr_is(pairs: list[tuple[Path, Path]], write: Callable[..., Path]) -> None:
    """Equal signals have 50 dB by both; what has nothing of its reference -50 dB."""
    fast_bss_eval = pytest.importorskip("fast_bss_eval")
    time = np.arange(RATE) / RATE
    sine, cosine = (0.1 * wave(2 * np.pi * 100 * time) for wave in (np.sin, np.cos))
    one, other = write("one.wav", sine, subtype="FLOAT"), write("other.wav", cosine, subtype="FLOAT")
    louder = write("louder.wav", -2 * sine, subtype="FLOAT")
    for path, expected in ((one, 50), (louder, 50), (other, -50)):
        assert value("si_sdr", path, one) == expected
        theirs = fast_bss_eval.si_sdr(*(read(p)[0][None].astype(float) for p in (one, path)), clamp_db=50.0)
        assert float(theirs[0]) == pytest.approx(expected, abs=1e-3)
    assert value("si_sdr", pairs[0][0], pairs[0][0]) == 50


@pytest.mark.parametrize("wanted", [None, 48000])
def test_lsd(wanted: int | None, pairs: list[tuple[Path, Path]], write: Callable[..., Path]) -> None:
    """Against the challenge's definition, its spectra by librosa; of a band that is empty too."""
    import librosa

    for names in pairs:
        (ref, found), (deg, _) = (read(name) for name in names)
        rate = wanted or found
        length = min(len(ref), len(deg))
        ref, deg = (soxr.resample(x[:length], found, rate) for x in (ref, deg))
        files = write("r.wav", ref, rate, "FLOAT"), write("d.wav", deg, rate, "FLOAT")
        deg = deg * (np.sum(ref * deg) / (np.sum(deg**2) + 1e-8))
        one, two = (
            np.abs(librosa.stft(x, n_fft=int(rate * 0.032), hop_length=int(rate * 0.016))).T
            for x in (ref, deg)
        )
        log_ratio = np.log(one**2 / (two + 1e-8) ** 2 + 1e-8) ** 2
        expected = np.mean(np.mean(log_ratio, axis=1) ** 0.5)
        assert value("lsd", *reversed(files)) == pytest.approx(expected, rel=2e-6)


def test_mcd(pairs: list[tuple[Path, Path]]) -> None:
    """Against cepstra frame by frame and an exact dynamic time warping."""
    pysptk = optional("pysptk")

    for reference, degraded in pairs[:2]:
        ref, deg = (read(p)[0].astype(np.float64)[: 2 * RATE] for p in (reference, degraded))
        deg = deg * (np.sum(ref * deg) / (np.sum(deg**2) + 1e-8))
        window = pysptk.sptk.hamming(1024)
        one, two = (
            np.stack([
                pysptk.mcep(x[i : i + 1024] * window, 23, 0.42, eps=1e-6, etype=1) for i in range(0, len(x) - 1023, 256)
            ])
            for x in (ref, deg)
        )  # fmt: skip
        distance = np.linalg.norm(one[:, None] - two[None], axis=2)
        expected = _exact_mcd(distance)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(_folder())
            sf.write(folder / "r.wav", read(reference)[0][: 2 * RATE], RATE, subtype="FLOAT")
            sf.write(folder / "d.wav", read(degraded)[0][: 2 * RATE], RATE, subtype="FLOAT")
            found = value("mcd", folder / "d.wav", folder / "r.wav")
        assert found == pytest.approx(expected, rel=0.05)  # fastdtw's path is near the best, not it
    assert value("mcd", pairs[0][0], pairs[0][0]) == pytest.approx(0.0, abs=1e-9)


def test_mcd_is_warped_as_by_the_challenge() -> None:
    """Of evaluation_metrics/mcd_utils.py; ESPnet has neither 8 nor 32 kHz."""
    warping = {8000: 0.31, 16000: 0.42, 22050: 0.45, 24000: 0.46, 32000: 0.50, 44100: 0.53, 48000: 0.55}
    assert {rate: alpha for rate, (_, alpha) in MCEP.items()} == warping


def _exact_mcd(distance: np.ndarray) -> float:
    """Mean MCD along the cheapest warping path of a distance matrix."""
    rows, columns = distance.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0
    for i in range(rows):
        for j in range(columns):
            total[i + 1, j + 1] = distance[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    i, j, path = rows, columns, []
    while i and j:
        path.append(distance[i - 1, j - 1])
        i, j = min(((i - 1, j - 1), (i - 1, j), (i, j - 1)), key=lambda at: total[at])
    return float(np.mean(path) * 10 / np.log(10) * np.sqrt(2))


@contextlib.contextmanager
def _folder():  # type: ignore[no-untyped-def]
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


# ---- clips that cannot be scored ------------------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, samples: np.ndarray, rate: int = RATE, subtype: str | None = None) -> Path:
        sf.write(tmp_path / name, samples, rate, subtype=subtype)
        return tmp_path / name

    return write


OFFLINE = [
    "distill_mos",
    "dnsmos_ovrl",
    "dnsmos_p808",
    "plcmos",
    "pesq",
    "stoi",
    "estoi",
    "sdr",
    "si_sdr",
    "lsd",
]


@pytest.mark.parametrize("label", OFFLINE)
def test_silence_has_no_label_whatever_the_metric(label: str, write: Callable[..., Path]) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    clean, silent, constant = (
        write(name, x, subtype="FLOAT")
        for name, x in (("c.wav", noise), ("s.wav", np.zeros(RATE)), ("d.wav", np.full(RATE, 0.25)))
    )
    cancelling = write("o.wav", np.stack([noise, -noise], axis=1), subtype="FLOAT")
    score = load(adapter_of(label), "cpu", False)
    for clip, found in (
        (silent, "0"),
        (constant, "0.25"),
        (cancelling, "0; opposite: the channels cancel out"),
    ):
        with pytest.raises(ClipError, match=f"{clip.name}: the clip is silent: all samples are {found}"):
            score(Signals(clip, clean))
    if adapter_of(label).needs_reference:
        with pytest.raises(ClipError, match=r"c\.wav: the reference is silent: all samples are 0"):
            score(Signals(clean, silent))


@pytest.mark.parametrize("label", OFFLINE)
def test_every_metric_hears_the_mean_of_the_channels(
    label: str, pairs: list[tuple[Path, Path]], write: Callable[..., Path]
) -> None:
    score = load(adapter_of(label), "cpu", False)
    noisy, rate = read(pairs[0][1])
    other = 0.01 * np.random.default_rng(0).standard_normal(len(noisy)).astype(np.float32)
    stereo = write("s.wav", np.stack([noisy + other, noisy - other], axis=1), rate, "FLOAT")
    mono = write("m.wav", noisy, rate, "FLOAT")
    found, expected = (score(Signals(path, pairs[0][0]))[label] for path in (stereo, mono))
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of librosa's other reader
def test_shortest_for_plcmos(write: Callable[..., Path]) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    with pytest.raises(ClipError, match="plcmos needs 7 frames of 16 ms; found 6"):
        value("plcmos", write("short.wav", noise[:1280]))
    assert 1 < value("plcmos", write("enough.wav", noise[:1290])) < 5


def test_pesq_of_a_quarter_second(pairs: list[tuple[Path, Path]], write: Callable[..., Path]) -> None:
    import pesq

    speech = [read(path)[0][20000:24000] for path in pairs[0]]
    reference, degraded = (write(f"{i}.wav", x, subtype="FLOAT") for i, x in enumerate(speech))
    assert value("pesq", degraded, reference) == pytest.approx(pesq.pesq(RATE, *speech, "wb"), abs=1e-6)
    reference, degraded = (write(f"s{i}.wav", x[:3999], subtype="FLOAT") for i, x in enumerate(speech))
    with pytest.raises(ClipError, match="1/4 of a second"):
        value("pesq", degraded, reference)


def test_pesq_is_of_16_khz(pairs: list[tuple[Path, Path]], tmp_path: Path) -> None:
    """A clip of 48 kHz is resampled: within the resamplers' difference of scipy's."""
    import pesq

    (reference, rate), (degraded, _) = (read(path) for path in pairs[2])
    for name, signal in (("r", reference), ("d", degraded)):
        sf.write(
            tmp_path / f"{name}.wav", scipy.signal.resample_poly(signal, 48000 // rate, 1), 48000, "FLOAT"
        )
    expected = pesq.pesq(
        RATE, *(scipy.signal.resample_poly(x, RATE, rate) for x in (reference, degraded)), "wb"
    )
    assert value("pesq", tmp_path / "d.wav", tmp_path / "r.wav") == pytest.approx(expected, abs=0.02)


def test_too_short_for_stoi(write: Callable[..., Path]) -> None:
    for frames in (2000, 160):
        path = write("short.wav", 0.1 * np.random.default_rng(0).standard_normal(frames))
        with pytest.raises(ClipError, match="Not enough STFT frames"):
            value("estoi", path, path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of librosa's other reader
@pytest.mark.parametrize("rate", [16000, 48000])
def test_what_is_beyond_full_scale_keeps_its_labels(
    rate: int, pairs: list[tuple[Path, Path]], write: Callable[..., Path]
) -> None:
    """Loud speech, clipped: at 48 kHz the filter of the resampling overshoots. The package scores such a file."""
    from speechmos import dnsmos

    noisy, found = read(pairs[0][1])
    loud = np.clip(30 * soxr.resample(noisy, found, rate), -1, 1)
    path = write("loud.wav", loud[: len(loud) // 3 * 3], rate, "PCM_16")
    expected = dnsmos.run(str(path), RATE)
    for label, key in (("dnsmos_ovrl", "ovrl_mos"), ("dnsmos_p808", "p808_mos")):
        assert value(label, path) == pytest.approx(float(expected[key]), abs=2e-5)
    assert 1 < value("plcmos", path) < 5
    assert (np.abs(Signals(path).samples(RATE)).max() > 1) == (rate == 48000)


def test_no_setting_for_the_rate(write: Callable[..., Path]) -> None:
    optional("pysptk")
    path = write("odd.wav", np.random.default_rng(0).standard_normal(12000) * 0.1, rate=12000)
    with pytest.raises(ClipError, match="mcd has no setting for 12000 Hz"):
        value("mcd", path, path)


def test_not_finite(write: Callable[..., Path]) -> None:
    path = write("nan.wav", np.full(RATE, np.nan), subtype="FLOAT")
    with pytest.raises(AudioError, match="16000 of 16000 samples are NaN, infinite"):
        value("distill_mos", path)


@pytest.mark.parametrize(
    ("rate", "wanted", "simple"),
    [(8000, 16000, True), (11025, 16000, True), (44100, 16000, True), (96000, 16000, True), (44100, 10000, True),
     (15949, 16000, False), (44101, 16000, False), (767_999, 10000, False), (16000, 16000, True)],
)  # fmt: skip
def test_rates_that_packages_resample_themselves(
    rate: int, wanted: int, simple: bool, write: Callable[..., Path]
) -> None:
    clip = Signals(write("x.wav", 0.1 * np.random.default_rng(0).standard_normal(rate // 10), rate))
    assert clip.simple_rate(wanted) == (rate if simple else wanted)


def test_an_odd_rate_takes_no_large_table(
    samples: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """15,949 Hz to 16 kHz is 255 million filter taps in torchaudio: 12 GB. The speech is the same at 16 kHz."""
    import distillmos.sqa as package
    import pystoi

    clean, rate = read(samples / "pesq_pair" / "speech.wav")
    noisy, _ = read(samples / "pesq_pair" / "speech_bab_0dB.wav")
    usual = value("distill_mos", samples / "pesq_pair" / "speech_bab_0dB.wav")
    usual_stoi = pystoi.stoi(clean[: len(noisy)], noisy[: len(clean)], rate)
    odd = 15949
    reference, degraded = (
        write(f"{name}.wav", scipy.signal.resample(x, len(x) * odd // rate), odd, "FLOAT")
        for name, x in (("c", clean), ("n", noisy))
    )

    def resample(*rates: int) -> None:
        raise AssertionError(f"a table for {rates}")

    monkeypatch.setattr(package.torchaudio.transforms, "Resample", resample)
    monkeypatch.setattr(pystoi.utils, "resample_oct", resample)
    assert value("distill_mos", degraded) == pytest.approx(usual, abs=0.05)
    assert value("stoi", degraded, reference) == pytest.approx(usual_stoi, abs=0.005)


def test_the_whole_band_at_another_rate(write: Callable[..., Path]) -> None:
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    clip = Signals(write("s.wav", np.stack([2 * tone, 0 * tone], 1), subtype="FLOAT"))
    np.testing.assert_array_equal(clip.whole_band(RATE), np.float32(tone))
    at_8000 = clip.whole_band(8000)
    assert at_8000.dtype == np.float32
    np.testing.assert_allclose(at_8000, tone[::2], atol=1e-6)


def test_labels_are_those_of_the_table() -> None:
    assert {"distill_mos", "dnsmos_ovrl", "plcmos", "pesq", "pesqc2", "estoi", "sdr", "lsd", "mcd"} <= set(
        KNOWN
    )
