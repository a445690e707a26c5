"""Do listeners' ratings make a better model than their means? Simulated listeners on real speech, several seeds.

    OMP_NUM_THREADS=1 python benchmarks/bench_listeners.py ../shared/speech [--seeds 5] [--bias .5] [--epochs 16]

Speech is made worse in three ways and four strengths, twelve systems of known quality. Each clip has 1, 2, 4 or 8
votes of a panel of 24: quality, what the listener adds, an error of .7, rounded to 1..5. What a listener adds is a bias
and, for `taste`, also a scale (standard deviation .25) and a like or dislike of each way (.3). In a `balanced` test
everybody may hear every clip; in an unbalanced one each listener hears a third of the systems, so eight people's biases
stay in the mean of a system.

A tiny network learns from scratch, by every setting from the same votes and with the same first weights: from the
truth, from means, from means without biases as `sqa-metrics ratings` computes them (`p913`), by `loss.votes`, from
ratings with a bias or an embedding for each listener, and by grades, ordinal or categorical, with biases. Its last
update is held against what the whole panel would say of clips of other talkers, on average: MSE by clips and by
systems, SRCC by clips. Intervals (Student, 95 %) are over seeds, each a panel, clips and first weights of its own;
differences from `means` are of the same seed.
"""

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from sqa_data.ratings import SingleRating, to_line
from sqa_metrics.ratings.bias import additive
from sqa_metrics.ratings.means import Means
from sqa_metrics.ratings.votes import Votes
from sqa_model.training.config_text import load_config
from sqa_model.training.loop import train

RATE, SECONDS = 16_000, 1.5
WAYS, STRENGTHS = ("noise", "band", "clipping"), 4
SYSTEMS = [(way, strength) for way in range(len(WAYS)) for strength in range(STRENGTHS)]
PEOPLE, EACH = 24, 4  # listeners, and systems that each hears of an unbalanced test
SCALE, TASTE, ERROR = 0.25, 0.3, 0.7
DRAWS = 40  # votes of each listener that the true mean is taken over

TESTS = {  # name -> (listeners have scale and taste, everybody hears everything)
    "unbalanced, bias": (False, False),
    "unbalanced, taste": (True, False),
    "balanced, taste": (True, True),
}
SETTINGS: dict[str, list[str]] = {
    "true": [],
    "means": [],
    "p913": [],
    "votes": ["loss.votes=3"],
    "bias": ["RATINGS"],
    "embedding": ["RATINGS", "loss.listeners=embedding"],
    "ordinal": ["RATINGS", 'model.distributions={mos="ordinal"}'],
    "categorical": ["RATINGS", 'model.distributions={mos="categorical"}'],
}
NETWORK = [
    *(
        "model.dim=48",
        "model.layers=0",
        "model.sizes.dim=48",
        "model.sizes.blocks=1",
        "model.sizes.context=3",
    ),
    *(
        "model.sizes.mels=40",
        "model.sizes.hop=320",
        "model.sizes.stride=2",
        "optim.lr=5e-3",
        "optim.warmup=10",
    ),
    *("precision=fp32", "batch.seconds=64", "batch.clips=16", "eval.every=1000000", "run.device=cpu"),
    *("run.threads=1", "run.tensorboard=false", "run.save_minutes=1000"),
]
FIGURES = ("utterance_mse", "system_mse", "utterance_srcc")


@dataclass(frozen=True)
class Panel:
    """Listeners and whom they hear."""

    bias: np.ndarray  # (people,)
    scale: np.ndarray  # (people,)
    taste: np.ndarray  # (people, ways)
    of_system: list[np.ndarray]  # who hears it

    @classmethod
    def draw(cls, rng: np.random.Generator, bias: float, tastes: bool, balanced: bool) -> "Panel":
        """A panel; of an unbalanced one each system has its own eight listeners, and each listener four systems."""
        places = np.concatenate([rng.permutation(PEOPLE) for _ in range(EACH)])
        groups = np.split(
            rng.permuted(places.reshape(-1, PEOPLE * EACH // len(SYSTEMS)), axis=0), len(SYSTEMS)
        )
        return cls(
            bias * rng.standard_normal(PEOPLE),
            1 + SCALE * rng.standard_normal(PEOPLE) * tastes,
            TASTE * rng.standard_normal((PEOPLE, len(WAYS))) * tastes,
            [np.arange(PEOPLE) if balanced else group.ravel() for group in groups],
        )

    def say(self, rng: np.random.Generator, who: np.ndarray, quality: float, way: int) -> np.ndarray:
        """A vote of each of `who`."""
        heard = 3 + self.scale[who] * (quality - 3) + self.bias[who] + self.taste[who, way]
        return np.clip(np.round(heard + ERROR * rng.standard_normal(len(who))), 1, 5)


def degraded(rng: np.random.Generator, speech: np.ndarray, way: int, strength: float) -> np.ndarray:
    """Speech made worse; strength from 0 to 1."""
    if WAYS[way] == "noise":
        noise = rng.standard_normal(len(speech))
        return speech + noise * np.sqrt(np.mean(speech**2) / 10 ** ((35 - 40 * strength) / 10))
    if WAYS[way] == "band":
        spectrum = np.fft.rfft(speech)
        spectrum[np.fft.rfftfreq(len(speech), 1 / RATE) > 8_000 * (700 / 8_000) ** strength] = 0
        return np.fft.irfft(spectrum, len(speech))
    most = np.quantile(np.abs(speech), 1 - 0.6 * strength)
    return np.clip(speech, -most, most)


def crops(speech: Path) -> dict[str, list[np.ndarray]]:
    """A second and a half of each file of clean read speech at 16 kHz, by talker."""
    found: dict[str, list[np.ndarray]] = {}
    with (speech / "manifest.csv").open() as file:
        for row in csv.DictReader(file):
            if "librispeech_train" in row["path"] and float(row["seconds"]) >= SECONDS + 1:
                start = RATE // 2
                samples = soundfile.read(speech / row["path"], start=start, frames=int(SECONDS * RATE))[0]
                found.setdefault(row["speaker"], []).append(samples * 0.05 / np.sqrt(np.mean(samples**2)))
    return found


def simulate(
    folder: Path, by_talker: dict[str, list[np.ndarray]], seed: int, bias: float, tastes: bool, balanced: bool
) -> None:
    """Write {means,true,p913,ratings}.jsonl of two thirds of the talkers, and test.jsonl of the others."""
    rng = np.random.default_rng(seed)
    talkers = rng.permutation(sorted(by_talker))
    panel = Panel.draw(rng, bias, tastes, balanced)
    everybody = np.tile(np.arange(PEOPLE), DRAWS)
    rows: dict[str, list[str]] = {"means": [], "true": [], "test": []}
    ratings: list[bytes] = []
    votes: list[np.ndarray] = []
    for part, names in (
        ("train", talkers[: 2 * len(talkers) // 3]),
        ("test", talkers[2 * len(talkers) // 3 :]),
    ):
        clips = [clip for name in names for clip in by_talker[name]]
        for i, clip in enumerate(clips[: len(clips) // len(SYSTEMS) * len(SYSTEMS)]):
            system = i % len(SYSTEMS)
            way, step = SYSTEMS[system]
            strength = (step + rng.uniform()) / STRENGTHS
            quality = 4.7 - 3.4 * strength
            name = f"{part}{i}"
            samples = degraded(rng, clip, way, strength)
            soundfile.write(folder / f"{name}.wav", samples / max(1, np.abs(samples).max()), RATE)
            row = {"audio_path": f"{name}.wav", "sample_id": name, "system_id": f"{WAYS[way]}{step}"}
            row |= {"corpus": "one", "duration": SECONDS}
            true = {"metrics": {"mos": float(panel.say(rng, everybody, quality, way).mean())}}
            rows["true" if part == "train" else "test"].append(json.dumps(row | true))
            if part == "test":
                continue
            pool = panel.of_system[system]
            who = rng.choice(pool, int(rng.choice([1, 2, 4, 8])), replace=False)
            said = panel.say(rng, who, quality, way)
            votes.append(np.full(PEOPLE, np.nan))
            votes[-1][who] = said
            ratings += [
                to_line(SingleRating(name, float(vote), listener_id=f"L{one}"))
                for one, vote in zip(who, said, strict=True)
            ]
            rows["means"].append(
                json.dumps(row | {"metrics": {"mos": float(said.mean())}, "votes": len(who)})
            )
    without_bias = additive(Votes.of_matrix(np.array(votes).T)).mos.tolist()
    rows["p913"] = [
        json.dumps(json.loads(line) | {"metrics": {"mos": min(5.0, max(1.0, mos))}})
        for line, mos in zip(rows["means"], without_bias, strict=True)
    ]
    for name, written in rows.items():
        (folder / f"{name}.jsonl").write_text("\n".join(written) + "\n")
    (folder / "ratings.jsonl").write_bytes(b"".join(ratings))


def figures(folder: Path, setting: str, seed: int, epochs: int) -> list[float]:
    """FIGURES of a model trained by a setting, against the truth."""
    ratings = f"data.ratings={folder}/ratings.jsonl"
    labels = setting if setting in ("true", "p913") else "means"
    config = load_config(
        "mini",
        overrides=[
            *NETWORK,
            f"data.train={folder}/{labels}.jsonl",
            f"data.dev={folder}/test.jsonl",
            f"epochs={epochs}",
            f"seed={seed}",
            *(ratings if item == "RATINGS" else item for item in SETTINGS[setting]),
        ],
    )
    found = train(config, folder / setting).last["one"]["mos"]
    return [found[name] for name in FIGURES]


def mean_and_half(values: np.ndarray) -> Iterator[tuple[float, float]]:
    """Means over seeds, with half their Student interval: (seeds, k)."""
    means = Means.of_clips(Votes.of_matrix(values))
    yield from zip(means.mos.tolist(), means.half.tolist(), strict=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("speech", type=Path, help="folder with manifest.csv: path, speaker, seconds")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--bias", type=float, default=0.5, help="standard deviation over listeners")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--tests", nargs="+", default=list(TESTS), choices=TESTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    by_talker = crops(arguments.speech)
    began = time.process_time()
    for test in arguments.tests:
        table = np.empty((arguments.seeds, len(SETTINGS), len(FIGURES)))
        for seed in range(arguments.seeds):
            with tempfile.TemporaryDirectory() as name:
                simulate(Path(name), by_talker, seed, arguments.bias, *TESTS[test])
                for k, setting in enumerate(SETTINGS):
                    table[seed, k] = figures(Path(name), setting, seed, arguments.epochs)
        print(f"\n{test}\n{'labels':12}" + "".join(f"{name:>20}{'less means':>20}" for name in FIGURES))
        plain = table[:, [list(SETTINGS).index("means")]]
        for k, setting in enumerate(SETTINGS):
            cells = zip(mean_and_half(table[:, k]), mean_and_half(table[:, k] - plain[:, 0]), strict=True)
            text = "".join(f"{m:13.3f} ± {h:.3f}{d:+13.3f} ± {w:.3f}" for (m, h), (d, w) in cells)
            print(f"{setting:12}{text}", flush=True)
    print(f"\n{time.process_time() - began:.0f} processor seconds")


if __name__ == "__main__":
    main()
