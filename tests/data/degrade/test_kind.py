"""What holds for every kind: its length, its time, the same samples again, what it says; and on real speech."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from degrading import RATE, apply, noise, speech_like, syllables
from sqa_data.degrade.acoustics import Box
from sqa_data.degrade.chain import degrade
from sqa_data.degrade.kind import NARROW, Family, Step, Surroundings
from sqa_data.degrade.kinds import FAMILIES, HELD_OUT_KINDS, KINDS
from sqa_data.degrade.kinds.edges import edged
from sqa_data.degrade.plan import read_noises, read_speech
from sqa_data.degrade.render import clean_excerpt

RATES = (8000, 22_050, 44_100, 48_000)
MODELS = Path(__file__).parents[4] / "shared" / "models"  # weights that no clone has
EVERYTHING = Surroundings((Path(),), (Path(),) * 2, (Path(),), MODELS)
HERE = [name for name, kind in KINDS.items() if kind.missing(EVERYTHING) is None]


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Surroundings:
    folder = tmp_path_factory.mktemp("around")
    sf.write(folder / "rain.wav", noise(0.5, seed=9), RATE)
    for talker in range(3):
        sf.write(folder / f"talker{talker}.wav", speech_like(1.0, seed=talker), RATE)
    sf.write(folder / "hall.wav", noise(0.3, seed=8) * 0.99 ** np.arange(0.3 * RATE), RATE)
    talkers = tuple(sorted(folder.glob("talker*.wav")))
    return Surroundings((folder / "rain.wav",), talkers, (folder / "hall.wav",), MODELS)


def test_the_readme_lists_every_kind_by_family() -> None:
    readme = Path(__file__).parents[3] / "packages" / "sqa-data" / "README.md"
    rows = dict(re.findall(r"^\| (\w+) \| (`.*`) \|$", readme.read_text(), re.MULTILINE))
    for family in FAMILIES:
        kinds = ", ".join(f"`{name}`" for name in family.KINDS)
        assert rows[str(next(iter(family.KINDS.values())).family)] == kinds


@pytest.mark.parametrize("kind", HERE)
@pytest.mark.parametrize("rate", [RATE, *(pytest.param(rate, marks=pytest.mark.slow) for rate in RATES)])
def test_every_kind_keeps_the_length_and_repeats(kind: str, rate: int, around: Surroundings) -> None:
    clean = speech_like(0.7, rate=rate)
    for severity in (0.0, 1.0):
        first, step = apply(kind, clean, severity, rate=rate, **vars(around))
        again, _ = apply(kind, clean, severity, rate=rate, **vars(around))
        assert first.shape == edged(clean, step, rate).shape
        assert np.isfinite(first).all()
        assert np.abs(first).max() <= 0.99 + 1e-9
        np.testing.assert_array_equal(first, again)
        assert step["kind"] == kind
        assert json.dumps(step, allow_nan=False)  # plain numbers and strings


@pytest.mark.parametrize("kind", HERE)
def test_silence_divides_nothing_by_zero(kind: str, around: Surroundings) -> None:
    y, step = apply(kind, np.zeros(RATE // 2), 0.5, **vars(around))
    assert np.isfinite(y).all()
    assert json.dumps(step, allow_nan=False)


def test_a_kind_is_in_the_module_of_its_family() -> None:
    assert [module.__name__.rpartition(".")[2] for module in FAMILIES] == [str(family) for family in Family]
    for family, module in zip(Family, FAMILIES, strict=True):
        assert {kind.family for kind in module.KINDS.values()} == {family}
    ours = [name for module in FAMILIES for name in module.KINDS]
    assert list(KINDS)[: len(ours)] == ours  # no name twice; then those of packages installed here
    assert set(HELD_OUT_KINDS) <= set(KINDS)


def test_what_is_narrow_band_at_its_mildest_says_so(around: Surroundings) -> None:
    """Of white noise, what a kind leaves above 4.5 kHz: nothing, exactly if it says that it is narrow band at once."""
    for kind in HERE:
        if KINDS[kind].family in (Family.BAND, Family.CODEC, Family.NETWORK):
            y, _ = apply(kind, noise(), 0.0, **vars(around))
            power = np.abs(np.fft.rfft(y)) ** 2
            above = power[len(power) * 9 // 16 :].sum() / power.sum()
            assert (above < 0.01) == (KINDS[kind].mildest == NARROW), (kind, above)


def _rooms(folder: Path) -> tuple[Path, ...]:
    """A few made rooms as if they had been recorded, from dry to wet."""
    rng = np.random.default_rng(1)
    for number, rt60_s in enumerate(np.geomspace(0.15, 1.5, 6)):
        box = Box.drawn(rt60_s, rng)
        response = box.response(box.place(0.3 + 0.5 * number, rng), 48_000, rng)
        sf.write(folder / f"room{number}.wav", 0.1 * response.taps, 48_000, subtype="FLOAT")
    return tuple(sorted(folder.glob("room*.wav")))


@pytest.mark.slow
def test_real_speech_gets_worse_with_severity(shared: Path, tmp_path: Path) -> None:
    """PESQ, an independent judge, falls with the severity of every kind that has one, on average over talkers."""
    pesq = pytest.importorskip("pesq").pesq
    sources = [source.path for source in read_speech(shared / "speech" / "speech") if source.is_reference]
    around = Surroundings(
        tuple(read_noises(shared / "speech" / "noise")), tuple(sources[::50]), _rooms(tmp_path), MODELS
    )
    speech = [clean_excerpt(str(path), 0.0, 3.0, RATE) for path in sources[::97][:4]]
    for kind in HERE:
        if kind in ("level", "clock-drift", "pad-silence", "crop"):  # PESQ does not hear it
            continue
        means = []
        for severity in (0.0, 0.5, 1.0):
            made = [degrade(clean, [Step(kind, severity)], seed, around) for seed, clean in enumerate(speech)]
            means.append(np.mean([pesq(RATE, one.reference, one.samples, "wb") for one in made]))
        # the mildest steps of a codec's bit rate are all transparent
        assert means[0] + 0.15 > means[1] > means[2], (kind, means)
        # of what is bad at its mildest, PESQ (from 1.0) has little left to take
        assert means[0] > means[2] + min(0.3, 0.4 * (means[0] - 1)), (kind, means)


def test_syllables_have_pauses() -> None:
    assert (syllables() == 0).mean() == pytest.approx(0.5, abs=0.01)
