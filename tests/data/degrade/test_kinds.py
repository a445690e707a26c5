"""What each kind says it does, and that it does it: levels, cutoffs, rates and steps, measured on its output."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from sqa_data.degrade import signal
from sqa_data.degrade.kinds import KINDS, Step, World, degrade
from sqa_data.degrade.signal import RATE, Samples

Settings = dict[str, float]

# kind -> setting -> its values where it is hardly heard (severity 0) and at its hardest (severity 1)
ENDS: dict[str, dict[str, tuple[float, float]]] = {
    "reverb": {"rt60_s": (0.15, 1.6), "direct_db": (12, -6)},
    "echo": {"gain_db": (-30, -2)},
    "noise": {"snr_db": (40, -5)},
    "coloured-noise": {"snr_db": (40, -5)},
    "babble": {"snr_db": (35, -3)},
    "hum": {"snr_db": (35, -3)},
    "clipping": {"clipped": (0.001, 0.4)},
    "quantise": {"bits": (11, 3)},
    "gain-jumps": {"depth_db": (3, 40)},
    "subtraction": {"strength": (1, 8)},
    "wiener": {"strength": (1, 6)},
    "logmmse": {"strength": (1, 6)},
    "over-suppression": {"strength": (1, 60)},
    "gate": {"strength": (1, 12)},
    "neural-mask": {"push": (0.7, 2.5), "spread": (0.05, 0.65)},
    "robot": {"bands": (128, 18)},
    "lowpass": {"cutoff_hz": (7500, 800)},
    "highpass": {"cutoff_hz": (80, 2000)},
    "low-rate": {"rate_hz": (14_000, 3000)},
    "telephone": {"rate_hz": (8000, 8000), "bits": (12, 6)},
    "mnru": {"q_db": (40, 0)},
    "opus": {},
    "mp3": {},
    "vorbis": {},
    "gsm": {"tandem": (1, 3)},
    "mu-law": {"level_dbfs": (-20, -55)},
    "loss-zero": {"loss_rate": (0.01, 0.45)},
    "loss-repeat": {"loss_rate": (0.01, 0.45)},
    "loss-pitch": {"loss_rate": (0.01, 0.45)},
    "level": {"level_dbfs": (-26, -60)},
}


def noise(seconds: float = 2.0, seed: int = 1) -> Samples:
    return 0.05 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


def syllables(seconds: float = 2.0) -> Samples:
    """A voice of 150 Hz, silent every other quarter of a second."""
    time = np.arange(round(seconds * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 40))
    return 0.05 * np.asarray(voice) * (time % 0.5 < 0.25)


def apply(
    kind: str, x: Samples, severity: float = 0.6, seed: int = 3, noises: tuple[Path, ...] = ()
) -> tuple:
    y, (step,) = degrade(x, [Step(kind, severity)], seed, noises)
    return y, step


def power_db(x: Samples) -> float:
    return 10 * float(np.log10(np.mean(x**2)))


def response(kind: str, severity: float) -> tuple[Samples, Samples, Settings]:
    """Frequencies in Hz, the gain of a linear kind there, and its settings."""
    click = np.zeros(2 * RATE)
    click[RATE] = 0.1
    y, step = apply(kind, click, severity)
    return np.fft.rfftfreq(len(y), 1 / RATE), np.abs(np.fft.rfft(y)) / 0.1, step


@pytest.fixture(scope="module")
def noises(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    path = tmp_path_factory.mktemp("noises") / "rain.wav"
    sf.write(path, noise(0.5, seed=9), RATE)
    return (path,)


def test_the_ends_of_every_kind(noises: tuple[Path, ...]) -> None:
    assert ENDS.keys() == KINDS.keys()
    for kind, settings in ENDS.items():
        for severity in (0, 1):
            _, step = apply(kind, syllables(0.2), severity, noises=noises)
            found = {name: step[name] for name in settings}
            assert found == pytest.approx({name: ends[severity] for name, ends in settings.items()}), kind
    louder = {apply("level", syllables(0.2), 1.0, seed)[1]["level_dbfs"] for seed in range(20)}
    assert louder == {-60, -6}


@pytest.mark.parametrize("kind", ["noise", "coloured-noise", "babble", "hum"])
def test_what_is_added_has_its_ratio_to_the_active_speech(kind: str, noises: tuple[Path, ...]) -> None:
    x = syllables()
    for severity in (0.2, 1.0):
        y, step = apply(kind, x, severity, noises=noises)
        ratio = 10 * np.log10(signal.active_power(x)) - power_db(y - x)
        assert ratio == pytest.approx(step["snr_db"], abs=1e-6)


def test_the_colour_of_noise_and_hum_and_babble() -> None:
    x, hz = syllables(), np.fft.rfftfreq(2 * RATE, 1 / RATE)
    middle = (hz > 100) & (hz < 7000)
    for seed in range(4):
        y, step = apply("coloured-noise", x, seed=seed)
        spectrum = np.log(np.abs(np.fft.rfft(y - x))[middle] ** 2)
        assert -np.polyfit(np.log(hz[middle]), spectrum, 1)[0] == pytest.approx(step["tilt"], abs=0.1)
        y, step = apply("hum", x, seed=seed)
        assert step["hum_hz"] in (50, 60)
        lines = np.abs(np.fft.rfft(y - x))[[round(2 * step["hum_hz"] * k) for k in range(1, 12)]]
        assert lines / lines[0] == pytest.approx([1 / k for k in range(1, 12)], rel=1e-6)
        # several talkers leave no pause, where one is silent half of the time
        y, _ = apply("babble", x, seed=seed)
        quiet = signal.frames(y - x, 320, 320).std(axis=1) < 0.1 * (y - x).std()
        assert quiet.mean() < 0.1


def test_a_room_has_its_reverberation_time_and_direct_sound() -> None:
    click = np.zeros(3 * RATE)
    click[0] = 0.1
    for severity in (0.3, 1.0):
        y, step = apply("reverb", click, severity)
        assert y[0] == pytest.approx(0.1)
        assert 10 * np.log10(np.sum(y[1:] ** 2) / y[0] ** 2) == pytest.approx(-step["direct_db"], abs=1e-6)
        late = y[RATE // 20 :]  # behind the early reflections
        left_db = 10 * np.log10(np.cumsum(late[::-1] ** 2)[::-1] / np.sum(late**2) + 1e-12)  # Schroeder 1965
        time_s = np.argmax(left_db < -20) / RATE
        assert 3 * time_s == pytest.approx(step["rt60_s"], rel=0.25)


def test_an_echo_is_the_speech_again() -> None:
    x = syllables()
    y, step = apply("echo", x, 0.9)
    shift = int(step["delay_s"] * RATE)
    assert 0.06 <= step["delay_s"] <= 0.3
    np.testing.assert_allclose((y - x)[shift:], x[:-shift] * 10 ** (step["gain_db"] / 20), atol=1e-12)
    assert not (y - x)[:shift].any()


@pytest.mark.parametrize(("kind", "stops"), [("lowpass", 1), ("highpass", -1)])
def test_a_filter_loses_half_at_its_cutoff(kind: str, stops: int) -> None:
    hz, gain, step = response(kind, 0.5)
    cutoff = step["cutoff_hz"]
    assert np.interp(cutoff, hz, gain) == pytest.approx(0.5, abs=0.02)  # there and back: -3 dB twice
    assert np.interp(cutoff * 2.0**stops, hz, gain) < 0.05
    assert np.interp(cutoff * 0.5**stops, hz, gain) == pytest.approx(1, abs=0.05)


def test_a_low_rate_leaves_nothing_above_or_holds_its_samples() -> None:
    x, seen = noise(), set()
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    for seed in range(12):
        y, step = apply("low-rate", x, 0.5, seed)
        above = np.abs(np.fft.rfft(y))[hz > 1.1 * step["rate_hz"] / 2]
        share = np.sum(above**2) / np.sum(np.abs(np.fft.rfft(x)) ** 2)
        assert (share < 1e-3) == (step["images"] == "removed")
        if step["images"] == "kept":
            assert len(np.unique(y)) <= len(x) * step["rate_hz"] / RATE
        seen.add(step["images"])
    assert seen == {"kept", "removed"}


def test_a_telephone_passes_its_band_alone() -> None:
    x = noise(4.0)
    y, _ = apply("telephone", x, 0.0)
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    gain = np.abs(np.fft.rfft(y)) / np.abs(np.fft.rfft(x))
    for low, high, least, most in ((0, 200, 0, 0.1), (400, 3200, 0.9, 1.1), (3800, 8000, 0, 0.1)):
        assert least <= np.median(gain[(hz > low) & (hz < high)]) <= most


@pytest.mark.parametrize("bits", [6, 8, 12])
def test_mu_law_has_two_to_the_bits_steps_and_its_ratio(bits: int) -> None:
    time = np.arange(RATE) / RATE
    x = 0.4 * np.sin(2 * np.pi * 441.7 * time)
    y = signal.companded(x, bits)
    assert len(np.unique(y)) <= 2**bits + 1
    assert power_db(x) - power_db(y - x) == pytest.approx(6.02 * bits - 10.1, abs=1.5)  # Jayant and Noll 1984


def test_quantising_rounds_to_its_bits() -> None:
    x = noise()
    for severity in (0.0, 0.5):
        y, step = apply("quantise", x, severity)
        size = np.abs(x).max() / 2 ** (step["bits"] - 1)
        assert np.abs(y - x).max() <= size / 2 + 1e-12
        assert (y - x).std() == pytest.approx(size / np.sqrt(12), rel=0.05)


def test_clipping_cuts_its_share_and_keeps_the_power() -> None:
    x = noise()
    for severity in (0.5, 1.0):
        y, step = apply("clipping", x, severity)
        assert np.mean(np.isclose(np.abs(y), np.abs(y).max())) == pytest.approx(step["clipped"], rel=0.02)
        assert power_db(y) == pytest.approx(power_db(x), abs=1e-6)


def test_modulated_noise_follows_the_speech_q_below_it() -> None:
    x = syllables()
    for severity in (0.2, 0.8):
        y, step = apply("mnru", x, severity)
        assert power_db(x) - power_db(y - x) == pytest.approx(step["q_db"], abs=0.3)
        assert not y[x == 0].any()


@pytest.mark.parametrize(
    ("kind", "container", "subtype", "most"),
    [("opus", "OGG", "OPUS", 0.3), ("mp3", "MP3", "MPEG_LAYER_III", 0.2), ("vorbis", "OGG", "VORBIS", 0.85)],
)
def test_a_codec_is_in_time_and_takes_what_it_says(
    kind: str, container: str, subtype: str, most: float
) -> None:
    x = syllables(1.0)
    rates = []
    for severity in (0.0, 1.0):
        y, step = apply(kind, x, severity)
        assert np.corrcoef(x, y)[0, 1] > 0.7
        rates.append(step["kbps"])
    assert rates[1] < most * rates[0]
    file, options = io.BytesIO(), {"bitrate_mode": "CONSTANT"} if kind == "mp3" else {}
    sf.write(file, x, RATE, format=container, subtype=subtype, compression_level=0.6, **options)
    _, kbps = signal.encode(x, container, subtype, 0.6)
    assert kbps == pytest.approx(len(file.getvalue()) * 8 / 1000, rel=0.01)  # of one second


def test_what_is_over_full_scale_goes_through_a_codec_whole() -> None:
    x = 2.5 * np.sin(np.arange(RATE) * 0.3)
    y, _ = signal.encode(x, "WAV", "ULAW", rate=8000)
    assert power_db(y - x) < power_db(x) - 20


def test_speech_by_telephone_codecs() -> None:
    x = syllables()
    once, one = apply("gsm", x, 0.0)
    thrice, three = apply("gsm", x, 1.0)
    assert one["kbps"] == three["kbps"] == pytest.approx(13, rel=0.05)  # GSM 06.10 at 8 kHz
    assert power_db(thrice - once) > power_db(x) - 20  # each tandem adds to the damage
    for severity in (0.0, 1.0):
        y, step = apply("mu-law", x, severity)
        assert step["kbps"] == pytest.approx(64, rel=0.02)
        assert power_db(y) == pytest.approx(power_db(x), abs=1e-6)
        # it is said how quiet the speech goes in: the quieter, the coarser
        quiet, _ = signal.encode(signal.set_level(x, step["level_dbfs"]), "WAV", "ULAW", rate=8000)
        np.testing.assert_allclose(y, signal.same_power(quiet, x), atol=1e-12)


def test_packets_are_lost_in_bursts_and_concealed_in_each_way() -> None:
    x, size = noise(20.0), RATE // 50
    outputs = {how: apply(f"loss-{how}", x, 0.8, seed=5) for how in ("zero", "repeat", "pitch")}
    packets = {how: y.reshape(-1, size) for how, (y, _) in outputs.items()}
    lost = ~packets["zero"].any(axis=1)
    step = outputs["zero"][1]
    assert lost.mean() == pytest.approx(step["loss_rate"], rel=0.25)
    bursts = np.sum(lost[1:] & ~lost[:-1])
    assert lost.sum() / bursts == pytest.approx(step["burst"], rel=0.25)
    sent, run = x.reshape(-1, size), 0
    heard = sent.copy()
    for number in np.flatnonzero(lost):  # the last packet again, ever weaker and silent from the fifth on
        run = run + 1 if lost[number - 1] else 1
        heard[number] = heard[number - 1] * (0.98 if run == 1 else 0.9) * max(0, 1 - (run - 1) / 4)
    np.testing.assert_allclose(packets["repeat"], heard, atol=1e-12)
    assert (packets["pitch"][~lost] == sent[~lost]).all()
    assert not np.allclose(packets["pitch"], packets["repeat"])


@pytest.mark.parametrize(
    ("kind", "method"),
    [("subtraction",) * 2, ("wiener",) * 2, ("logmmse",) * 2, ("gate",) * 2, ("over-suppression", "wiener")],
)
def test_a_suppressor_is_as_strong_as_it_says(kind: str, method: str) -> None:
    x = syllables() + 0.1 * noise()
    y, step = apply(kind, x, 0.5)
    np.testing.assert_array_equal(y, signal.suppress(x, method, step["strength"]))


def test_a_neural_mask_is_pushed_and_errs() -> None:
    x, kind = noise(4.0), KINDS["neural-mask"][1]
    given = np.abs(signal.stft(x, 512, 256))[4:-4, 5:200]
    for share, severity in ((0.5, 1.0), (0.5, 0.2), (1.0, 1.0)):
        y, said = kind(x, severity, World(np.random.default_rng(0), (), share * x))
        gains = np.log(np.abs(signal.stft(y, 512, 256))[4:-4, 5:200] / given)
        errors = float(said["spread"]) * np.random.default_rng(0).standard_normal(10_000)
        expected = np.minimum(float(said["push"]) * np.log(share) + errors, 0)  # no band is amplified
        assert gains.mean() == pytest.approx(expected.mean(), abs=0.12)


def test_what_is_made_anew_keeps_its_power() -> None:
    x = syllables()
    assert power_db(apply("robot", x, 0.7)[0]) == pytest.approx(power_db(x), abs=1e-6)


def test_gain_jumps_down_by_up_to_its_depth() -> None:
    for severity in (0.1, 0.9):
        y, step = apply("gain-jumps", np.full(4 * RATE, 0.1), severity)
        gain_db = 20 * np.log10(y / 0.1)
        assert -step["depth_db"] <= gain_db.min() < -step["depth_db"] / 2
        assert gain_db.max() <= 0
        assert len(np.unique(gain_db.round(3))) > 4


def test_levels_are_of_active_speech() -> None:
    for severity, seed in ((0.3, 0), (0.9, 1), (0.5, 2), (0.5, 3)):
        y, step = apply("level", syllables(), severity, seed)
        if step["level_dbfs"] < -15:  # louder, peaks are cut
            assert 10 * np.log10(signal.active_power(y)) == pytest.approx(step["level_dbfs"], abs=1e-6)
    assert np.abs(signal.set_level(syllables(), 0.0)).max() == 1


@pytest.mark.parametrize("peak", [0.3, 0.98, 1.5])
def test_what_ends_over_full_scale_is_made_smaller_and_not_cut(peak: float) -> None:
    x = syllables() / np.abs(syllables()).max() * peak
    y, _ = degrade(x, [])
    np.testing.assert_allclose(y, x * min(1, 0.99 / peak), rtol=1e-12)


def test_silence_divides_nothing_by_zero(noises: tuple[Path, ...]) -> None:
    speech = syllables()
    np.testing.assert_array_equal(signal.add_noise(speech, np.zeros(100 * 320), 10), speech)
    for kind in KINDS:
        y, _ = apply(kind, np.zeros(RATE // 2), 0.5, noises=noises)
        assert np.isfinite(y).all(), kind
