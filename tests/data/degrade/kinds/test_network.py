"""Packets lost in bursts, and what is played instead."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from degrading import RATE, apply, noise, skip_without, speech_like, syllables
from sqa_data.degrade import signal
from sqa_data.degrade.kind import Surroundings, World
from sqa_data.degrade.kinds.codec.frames import Codec, Coder, through
from sqa_data.degrade.kinds.network import CODED, coded, conceal, imagine, losses, lost_packets
from sqa_data.degrade.plan import read_speech
from sqa_data.degrade.render import clean_excerpt

SIZE = RATE // 50


def test_packets_are_lost_at_the_rate_in_bursts() -> None:
    for rate, burst in ((0.05, 1.2), (0.2, 2.0), (0.4, 3.5)):
        lost = lost_packets(100_000, rate, burst, np.random.default_rng(0))
        assert not lost[0]
        assert lost.mean() == pytest.approx(rate, rel=0.05)
        assert lost.sum() / np.sum(lost[1:] & ~lost[:-1]) == pytest.approx(burst, rel=0.05)


def test_what_is_told_is_what_was_lost() -> None:
    x = noise(20.0)
    y, step = apply("loss-zero", x, 0.8, seed=5)
    lost = ~y.reshape(-1, SIZE).any(axis=1)
    assert step["loss_rate"] == lost.mean()
    assert step["lost"] == lost.sum()
    assert step["burst"] == pytest.approx(lost.sum() / np.sum(lost[1:] & ~lost[:-1]))
    assert step["loss_rate"] == pytest.approx(0.01 * 45**0.8, rel=0.25)


def test_a_loss_takes_something_of_the_speech() -> None:
    x = syllables(0.6)
    for seed in range(40):
        y, step = apply("loss-zero", x, 0.0, seed)
        assert step["lost"] >= 1
        assert np.abs(y - x).max() > 0.01


@pytest.mark.parametrize("length", [5622, 5623, 5624])  # 17 packets of 330.75 samples end at 5622.75
def test_packets_of_a_broken_number_of_samples_end_with_the_clip(length: int) -> None:
    x, rate = noise(1.0)[:length], 44_100
    world = World(np.random.default_rng(0), rate, x, x, Surroundings())
    assert len(losses(x, 1.0, world, 0.0075)) == (17 if length <= 5623 else 18)


def test_packets_are_concealed_in_each_way() -> None:
    x = noise(20.0)
    lost = lost_packets(len(x) // SIZE, 0.2, 2.0, np.random.default_rng(1))
    packets = {how: conceal(x, lost, RATE, how).reshape(-1, SIZE) for how in ("zero", "repeat", "pitch")}
    sent, run = x.reshape(-1, SIZE), 0
    assert (~packets["zero"].any(axis=1) == lost).all()
    heard = sent.copy()
    for number in np.flatnonzero(lost):  # the last packet again, ever weaker and silent from the fifth on
        run = run + 1 if lost[number - 1] else 1
        heard[number] = heard[number - 1] * (0.98 if run == 1 else 0.9) * max(0, 1 - (run - 1) / 4)
    np.testing.assert_allclose(packets["repeat"], heard, atol=1e-12)
    after = np.append(False, lost[:-1])
    untouched = ~lost & ~after
    assert (packets["pitch"][untouched] == sent[untouched]).all()
    mended = packets["pitch"][after & ~lost]
    quarter = RATE // 66 // 4 + 1
    assert (mended[:, quarter:] == sent[after & ~lost][:, quarter:]).all()  # a quarter of a period fades over
    assert not np.allclose(mended[:, :quarter], sent[after & ~lost][:, :quarter])


def test_pitch_concealment_continues_a_periodic_voice() -> None:
    time = np.arange(RATE) / RATE
    voice = sum(np.sin(2 * np.pi * 125 * k * time) / k for k in range(1, 6))
    lost = lost_packets(50, 0.1, 1.0, np.random.default_rng(2))
    errors = {how: float(np.mean((conceal(np.asarray(voice), lost, RATE, how) - voice) ** 2))
              for how in ("zero", "repeat", "pitch")}  # fmt: skip
    assert lost.any()
    assert errors["pitch"] < 0.2 * errors["zero"]


def test_a_network_is_asked_for_the_windows_with_a_loss_and_nothing_else() -> None:
    x, asked = noise(1.0), []
    lost = np.zeros(50, bool)
    lost[[10, 11, 30]] = True

    def run(context: np.ndarray) -> np.ndarray:
        asked.append(context[0])
        return np.concatenate([context[0, 4], context[0, 5]])[None] + 1.0

    y = imagine(x, lost, run)
    hops, sent = y.reshape(-1, 160), x.reshape(-1, 160)
    gone = np.repeat(lost, 2)
    np.testing.assert_allclose(hops[~gone][:18], sent[~gone][:18], atol=1e-12)
    # a run of four hops is in five windows, one of two hops in three
    assert len(asked) == 8
    first, last = asked[0], asked[4]
    np.testing.assert_allclose(first[:4], hops[15:19], atol=1e-12)  # it sees what was played,
    np.testing.assert_array_equal(
        first[4:], [sent[19], np.zeros(160)]
    )  # and the hops of the window as they came
    np.testing.assert_allclose(last[:4], hops[19:23], atol=1e-12)
    np.testing.assert_array_equal(last[4:], [np.zeros(160), sent[24]])
    np.testing.assert_allclose(hops[20:24], 2.0)  # each hop is the sum of two windows
    np.testing.assert_allclose(imagine(x, np.zeros(50, bool), run), x, atol=1e-12)


def test_tplcnet_fills_gaps_better_than_silence_does(shared: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="pip install ai-edge-litert")
    pesq = pytest.importorskip("pesq").pesq
    path = read_speech(shared / "speech" / "speech")[97].path
    x = clean_excerpt(str(path), 0.0, 4.0, RATE)
    y, step = apply("tplcnet", x, 0.7, models=shared / "models")
    # the same seed loses the same packets
    silent, same = apply("loss-zero", x, 0.7)
    assert step == {**same, "kind": "tplcnet", "rate_hz": RATE}
    lost = ~silent.reshape(-1, SIZE).any(axis=1)
    assert np.abs(y.reshape(-1, SIZE)[lost]).max() > 0.01
    # what arrived is as it was, but for the hop after a loss and the one before it
    near = lost | np.roll(lost, 1) | np.roll(lost, -1)
    np.testing.assert_allclose(y.reshape(-1, SIZE)[~near], x.reshape(-1, SIZE)[~near], atol=1e-12)
    assert pesq(RATE, x, y, "wb") > pesq(RATE, x, silent, "wb") + 0.3


def test_the_decoder_is_told_what_was_lost() -> None:
    told: list[bool] = []

    @contextmanager
    def counting(kbps: float, rate: int) -> Iterator[Codec]:
        def decode(packet: bytes | None) -> np.ndarray:
            told.append(packet is None)
            return np.zeros(80, np.int16)

        yield Codec(8000, 80, 0, lambda frame: frame.tobytes(), decode)

    world = World(np.random.default_rng(1), 22_050, np.array([]), np.array([]), Surroundings())
    _, settings = coded(Coder((), (1.0, 2.0, 3.0, 4.0, 5.0), counting))(noise(2.0, rate=22_050), 0.8, world)
    assert len(told) == 200
    assert (settings["lost"], settings["loss_rate"]) == (sum(told), sum(told) / 200)
    assert settings["loss_rate"] == pytest.approx(0.01 * 45**0.8, rel=0.3)
    assert settings["mode"] in (2.0, 3.0, 4.0)


@pytest.mark.parametrize("kind", CODED)
def test_more_is_lost_the_harder_it_is(kind: str) -> None:
    skip_without(kind)
    rates = [apply(kind, speech_like(3.0), severity)[1]["loss_rate"] for severity in (0.0, 0.5, 1.0)]
    assert 0 < rates[0] < rates[1] < rates[2] < 0.65


@pytest.mark.slow
def test_concealment_is_better_than_silence(shared: Path) -> None:
    pesq = pytest.importorskip("pesq").pesq
    sources = [source.path for source in read_speech(shared / "speech" / "speech") if source.is_reference]
    speech = [clean_excerpt(str(path), 0.0, 4.0, RATE) for path in sources[::40][:8]]
    for kind, coder in CODED.items():
        if coder.missing(Surroundings()):
            continue
        gains = []
        for seed, x in enumerate(speech):
            with coder.open(coder.kbps[0], RATE) as codec:
                size = codec.size * RATE // codec.rate
                lost = lost_packets(len(x) // size, 0.05, 1.2, np.random.default_rng(seed))
                concealed, _ = through(x, RATE, codec, lost)
            with coder.open(coder.kbps[0], RATE) as codec:
                silent = through(x, RATE, codec)[0] * ~signal.fit(np.repeat(lost, size), len(x))
            gains.append(pesq(RATE, x, concealed, "wb") - pesq(RATE, x, silent, "wb"))
        assert np.mean(gains) > 0.1, (kind, gains)
