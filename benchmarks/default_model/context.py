"""What every part of the benchmark is given: the model, its teacher, clips of talkers and noises never trained on."""

import functools
import itertools
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile as sf
from sqa_data import Utterance, read_manifest
from sqa_data.degrade.kind import Surroundings
from sqa_data.degrade.plan import CleanSpeech, DegradeConfig, PlannedClip, make_plan, read_noises, read_speech
from sqa_data.degrade.recordings import facts
from sqa_data.degrade.render import clean_excerpt
from sqa_data.degrade.signal import Samples
from sqa_model import ModelError, Predictor

from default_model.teacher import RATE, Teacher, heard_by_teacher, key_of

Item = TypeVar("Item")
LANGUAGES = ("pt", "pl", "sv", "ko", "ja", "zh", "fa", "ru")  # whose talkers are in the test split alone
SEED = 2  # of the plan that made the clips: it says which talkers and noises are those of the test split
DRAWN = 2000  # clips of that plan: enough to meet every test talker


@dataclass(frozen=True)
class Context:
    """The inputs of a run. `clips`: folders that `data degrade` made; `cap`: clips that the teacher hears of a set."""

    predictor: Predictor
    teacher: Teacher
    clips: Path
    speech: tuple[Path, ...]
    noise: tuple[Path, ...]
    models: Path | None
    recordings: Path | None
    renders: Path | None
    count: int = 40  # clips of a ladder
    cap: int = 150

    def scores(self, waves: Sequence[np.ndarray], rate: int = RATE) -> dict[str, np.ndarray]:
        """Head -> (clips,) scores of arrays (mono, or channels in rows); `ModelError` where one has none."""
        sources = ((np.asarray(wave, np.float32), rate) for wave in waves)
        found = list(self.predictor.stream(sources, layout="channels"))
        for number, prediction in enumerate(found):
            if prediction.error is not None:
                raise ModelError(f"clip {number} has no score: {prediction.error}")
        return {name: np.array([p.metrics[name] for p in found]) for name in self.predictor.names}

    def mos(self, waves: Sequence[np.ndarray], rate: int = RATE) -> np.ndarray:
        """(clips,) Scores of the head `mos`."""
        return self.scores(waves, rate)["mos"]

    @functools.lru_cache(maxsize=8)  # noqa: B019 - one context lives as long as the process
    def rows(self, folder: str) -> list[Utterance]:
        """The test rows of one of the folders of clips; none where it is absent."""
        manifest = self.clips / folder / "test.jsonl"
        if not manifest.exists():
            print(f"{manifest} is absent: its lines are left out", file=sys.stderr)
            return []
        return list(read_manifest(manifest))

    def some(self, rows: Sequence[Utterance]) -> list[Utterance]:
        """At most `cap` rows, evenly from all."""
        return spread(rows, self.cap)

    @functools.cached_property
    def plan(self) -> list[PlannedClip]:
        """Clips of the test split by the seed that made the folders: they tell its talkers and noises."""
        config = DegradeConfig(0, 0, DRAWN, SEED, kinds=("noise",), test_languages=LANGUAGES)
        return make_plan(self._all_speech, self._label_of, config)

    @functools.cached_property
    def _all_speech(self) -> list[CleanSpeech]:
        return [source for folder in self.speech for source in read_speech(folder)]

    @functools.cached_property
    def _label_of(self) -> dict[Path, str]:
        return {path: label for folder in self.noise for path, label in read_noises(folder).items()}

    @functools.cached_property
    def sources(self) -> list[CleanSpeech]:
        """Clean recordings of the test talkers."""
        talkers = {clip.source.talker for clip in self.plan}
        return [source for source in self._all_speech if source.talker in talkers]

    @functools.cached_property
    def noises(self) -> dict[str, list[Path]]:
        """The noise recordings never trained on, by label."""
        by_label: dict[str, list[Path]] = {}
        for path in self.plan[0].around.noises:
            by_label.setdefault(self._label_of[path], []).append(path)
        return by_label

    @property
    def around(self) -> Surroundings:
        """Test noises and test talkers, and the networks."""
        noises = tuple(itertools.chain.from_iterable(self.noises.values()))
        return Surroundings(noises, tuple(s.path for s in self.sources[::20]), (), self.models)

    def excerpts(
        self, count: int, seconds: float, least_s: float | None = None, rate: int = RATE
    ) -> list[Samples]:
        """Clean speech of test talkers recorded at `rate` Hz or more: `seconds` at most of each, -26 dBFS.

        Of different talkers as far as there are such, real ones before synthetic ones.
        """
        least_s = seconds if least_s is None else least_s
        turns: Counter[str] = Counter()
        ranked = []
        for source in sorted(self.sources, key=lambda s: s.path.name):
            about = facts(source.path)
            if not source.is_reference or about.duration_s < least_s or about.sample_rate < rate:
                continue
            ranked.append((source.kind == "synthetic", turns[source.talker], source))
            turns[source.talker] += 1
        ranked.sort(key=lambda entry: entry[:2])  # each talker once before any twice
        first = [entry for entry in ranked if entry[:2] == (False, 0)]
        picked = spread(first, count) if len(first) >= count else ranked[:count]
        return [
            clean_excerpt(str(s.path), 0.0, min(seconds, facts(s.path).duration_s), rate) for *_, s in picked
        ]

    def rendered(
        self, name: str, clips: Sequence[Samples], make: Callable[[], list[Samples]]
    ) -> list[Samples]:
        """What is costly to render of clips, in 16 bit at 16 kHz; from the folder of renders if it was made before."""
        if not self.renders:
            return make()
        folder = self.renders / f"{name}-{key_of(np.concatenate(clips))[:12]}"
        if not (folder / "done").exists():
            folder.mkdir(parents=True, exist_ok=True)
            for number, samples in enumerate(make()):
                sf.write(folder / f"{number:05}.flac", samples, RATE, subtype="PCM_16")
            (folder / "done").touch()
        return [sf.read(path)[0] for path in sorted(folder.glob("*.flac"))]


def waves_of(rows: Sequence[Utterance]) -> list[np.ndarray]:
    """The audio of rows at 16 kHz, as the teacher's labeller hears it."""
    return [heard_by_teacher(row.audio_path) for row in rows]


def kinds_of(row: Utterance) -> set[str]:
    """The kinds of a row's chain."""
    return {step["kind"] for step in row.extra["degradation"]}


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many, evenly from all."""
    if len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]
