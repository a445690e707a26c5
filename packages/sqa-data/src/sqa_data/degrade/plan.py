"""What to make: a whole corpus of chains, drawn with talkers, noises and some kinds kept apart between the splits."""

import functools
import logging
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sqa_data.clip_list import list_clips
from sqa_data.degrade.kind import Step, Surroundings
from sqa_data.degrade.kinds import HELD_OUT_KINDS, KINDS, ONLY_IF_NAMED
from sqa_data.degrade.presets import PRESETS, URGENT_KINDS
from sqa_data.degrade.recordings import HIGHEST_HZ, LOWEST_HZ, facts, own_rate, tell_once
from sqa_data.errors import DataError
from sqa_data.tables import read_rows

logger = logging.getLogger(__name__)

SHORTEST_S = 0.2  # of a source: less is no speech, and metrics refuse it
OTHERS = 8  # recordings of other talkers that a clip may draw on


@dataclass(frozen=True)
class CleanSpeech:
    """One clean recording: its file, talker, whether it is clean enough to be a reference, and what kind it is."""

    path: Path
    talker: str
    is_reference: bool = True
    kind: str = ""  # such as "synthetic"; "" where nothing is said
    language: str = ""  # such as "pt-BR"; "" where nothing is said


class Excerpt(NamedTuple):
    """A piece of a clean recording."""

    path: Path
    start: float  # seconds
    seconds: float


@dataclass(frozen=True)
class DegradeConfig:
    """What to draw. Counts are clips per split; everything else follows from `seed`."""

    train: int = 1000
    dev: int = 100
    test: int = 200
    seed: int = 1
    preset: str = "broad"  # which chains, see `presets`
    kinds: tuple[str, ...] = ()  # draw from these alone; default: all that can run here
    sample_rate: int | None = 16_000  # Hz, of every clip; None: its source's own, within 8 to 48 kHz
    max_seconds: float = 5.0  # longer speech is cut at a random place
    min_seconds: float = 0.0  # shorter speech is followed by more of its talker, as far as there is any
    max_steps: int = 4
    held_out_kinds: tuple[str, ...] = HELD_OUT_KINDS
    held_out_share: float = 0.12  # of talkers for dev and for test each, and of noise labels for test
    test_languages: tuple[str, ...] = ()  # whose talkers are all in the test split; "pt" is "pt-BR", too
    rungs: int = 1  # clips of every chain, one of its steps from mildest to hardest


@dataclass(frozen=True)
class PlannedClip:
    """One clip to render: all that its audio depends on."""

    sample_id: str
    split: str
    source: CleanSpeech
    start: float  # seconds into the source
    seconds: float
    chain: tuple[Step, ...]
    around: Surroundings = field(repr=False, default=Surroundings())
    sample_rate: int = 16_000  # Hz
    ladder: str = ""  # what the clips of one chain share; "" where it has one clip
    more: tuple[Excerpt, ...] = ()  # of the same talker, behind the source's

    @property
    def duration_s(self) -> float:
        """Of the clean speech."""
        return self.seconds + sum(piece.seconds for piece in self.more)

    @property
    def system_id(self) -> str:
        """The families of its chain: clips of one system share what befell them, not which kind of it or how hard."""
        return (
            "+".join(str(family) for family in sorted({KINDS[s.kind].family for s in self.chain})) or "clean"
        )


def read_speech(folder: str | Path, reference_snr_db: float = 30.0) -> list[CleanSpeech]:
    """The speech files of a folder with their talkers.

    With a `manifest.csv` (columns `path`, `speaker`; optional `snr_proxy_db`, below `reference_snr_db` a clip
    is used but not as a reference; `kind` and `language`, which the rows keep), its rows under the folder; without,
    every audio file as `clip_list` finds them, the talker being its parent folder.
    """
    folder = Path(folder)
    table = _table(folder)
    if table is None:
        found = [CleanSpeech(path, path.parent.name) for path in _audio_files(folder)]
    else:
        found = [
            CleanSpeech(row.path, row.talker, row.snr_db >= reference_snr_db, row.kind, row.language)
            for row in table
            if row.talker
        ]
    if not found:
        raise DataError(
            f"{folder}: its manifest.csv has no speech in this folder; expected rows with a speaker"
        )
    return found


def read_noises(folder: str | Path) -> dict[Path, str]:
    """The noise recordings of a folder and the label of each.

    The label is column `label` or `language` of `manifest.csv`, else the folder.
    """
    folder = Path(folder)
    table = _table(folder)
    if table is None:
        found = {path: path.parent.name for path in _audio_files(folder)}
    else:
        found = {
            row.path: row.label or row.language or row.path.parent.name for row in table if not row.talker
        }
    if not found:
        raise DataError(
            f"{folder}: its manifest.csv has no noise in this folder; expected rows without a speaker"
        )
    return found


def read_rooms(folder: str | Path) -> list[Path]:
    """The recorded impulse responses of a folder."""
    return _audio_files(Path(folder))


def make_plan(
    sources: Sequence[CleanSpeech],
    noises: Mapping[Path, str],
    config: DegradeConfig,
    *,
    rooms: Sequence[Path] = (),
    models: Path | None = None,
) -> list[PlannedClip]:
    """Draw every clip of the corpus; of the audio only the duration is asked, so the plan is quick and repeatable.

    Talkers are in one split each; test noises have labels that train and dev never meet (are other recordings where
    all have one label; a single recording is for train and dev); the held-out kinds are in about half of the test clips
    and nowhere else. Kinds that cannot run here (no noises, no weights under `models`, a library that is not installed)
    are left out, and the log says which.
    """
    _check(config)
    sources = _long_enough(sources)
    rng = np.random.default_rng([config.seed, 0])
    split_of = _split_talkers(sources, config, rng)
    labels = sorted(set(noises.values()))
    if len(labels) == 1:  # as in a folder without folders: each recording is one of its own
        noises = {path: str(path) for path in noises}
        labels = sorted(noises.values())
    rng.shuffle(labels)
    held = max(1, round(len(labels) * config.held_out_share)) if len(labels) > 1 else 0
    test_labels = set(labels[:held])

    clips: list[PlannedClip] = []
    for number, split in enumerate(("train", "dev", "test")):
        own = [source for source in sources if split_of[source.talker] == split]
        own_noises = sorted(p for p, label in noises.items() if (label in test_labels) == (split == "test"))
        split_rng = np.random.default_rng([config.seed, 1, number])
        alone = len({source.talker for source in own}) < 2  # nobody else could be heard
        talkers = () if alone else tuple(source.path for source in own)
        around = Surroundings(tuple(own_noises), talkers, tuple(rooms), models)
        clips += _draw_split(split, own, around, config, split_rng)
    return clips


def _check(config: DegradeConfig) -> None:
    """Raise `DataError` for a plan that cannot be drawn."""
    unknown = {*config.held_out_kinds, *config.kinds} - set(KINDS)
    if unknown:
        raise DataError(
            f"unknown degradation {', '.join(map(repr, sorted(unknown)))}; known: {', '.join(KINDS)}"
        )
    if config.preset not in PRESETS:
        raise DataError(f"unknown preset {config.preset!r}; known: {', '.join(PRESETS)}")
    if config.preset == "urgent" and config.kinds and not URGENT_KINDS & {*config.kinds}:
        raise DataError(
            f"preset urgent draws none of {', '.join(config.kinds)}; expected one of {', '.join(sorted(URGENT_KINDS))}"
        )
    if not (config.train or config.dev or config.test):
        raise DataError("train, dev and test are all 0; expected clips in one split at least")
    if config.min_seconds > config.max_seconds:
        raise DataError(
            f"min_seconds is {config.min_seconds:g}; expected at most max_seconds, {config.max_seconds:g}"
        )
    if config.sample_rate is not None and not LOWEST_HZ <= config.sample_rate <= HIGHEST_HZ:
        raise DataError(
            f"sample_rate is {config.sample_rate}; expected {LOWEST_HZ} to {HIGHEST_HZ} Hz, or None"
        )


def _long_enough(sources: Sequence[CleanSpeech]) -> list[CleanSpeech]:
    """The sources without those that are too short to hear anything in; the log counts these."""
    kept = [source for source in sources if facts(source.path).duration_s >= SHORTEST_S]
    if left := len(sources) - len(kept):
        logger.warning("sources shorter than %g s are left out: %d of %d", SHORTEST_S, left, len(sources))
    return kept


def kinds_here(around: Surroundings, wanted: Sequence[str] = (), split: str = "") -> list[str]:
    """The kinds that can run with these surroundings; the log tells of the others, once.

    Of those that are `wanted` each must: `DataError` says what one lacks. Those that change the length must be wanted.
    """
    missing = {name: reason for name, kind in KINDS.items() if (reason := kind.missing(around))}
    for name in wanted:
        if name in missing:
            of = f" (in the {split} split; splits share no talkers, and test no noises)" if split else ""
            raise DataError(f"degradation {name!r} cannot run here: {missing[name]}{of}")
    if missing and not wanted:
        alike: dict[str, list[str]] = {}
        for name, reason in missing.items():
            alike.setdefault(reason, []).append(name)
        told = [f"  {', '.join(names)}: {reason}" for reason, names in alike.items()]
        tell_once("\n".join([f"left out, {len(missing)} of {len(KINDS)} kinds:", *told]))
    return [name for name in wanted or KINDS if name not in missing and (wanted or name not in ONLY_IF_NAMED)]


def _split_talkers(
    sources: Sequence[CleanSpeech], config: DegradeConfig, rng: np.random.Generator
) -> dict[str, str]:
    """The split of each talker; one without clips gets none."""
    languages = {_tag(language) for language in config.test_languages}
    spoken = {tag for s in sources for tag in (_tag(s.language), _base(s.language)) if tag}
    if unspoken := sorted(languages - spoken):
        raise DataError(
            f"no speech in {', '.join(map(repr, unspoken))}; found {', '.join(sorted(spoken)) or 'no languages'}"
        )
    foreign = {s.talker for s in sources if {_tag(s.language), _base(s.language)} & languages}
    talkers = sorted({source.talker for source in sources} - foreign)
    rng.shuffle(talkers)
    held = max(1, round(len(talkers) * config.held_out_share))
    aside = [split for split in ("dev", "test") if getattr(config, split)]
    if foreign and not talkers:
        aside = [split for split in aside if split != "test"]
    if len(talkers) < held * len(aside) + (config.train > 0):
        asked = len(aside) + (config.train > 0)
        raise DataError(f"found {len(talkers)} talker(s); expected at least {asked}, one for each split")
    split_of = dict.fromkeys(foreign, "test") | dict.fromkeys(talkers, "train")
    for number, split in enumerate(aside):
        split_of |= dict.fromkeys(talkers[number * held : (number + 1) * held], split)
    return split_of


def _draw_split(
    split: str,
    sources: Sequence[CleanSpeech],
    around: Surroundings,
    config: DegradeConfig,
    rng: np.random.Generator,
) -> Iterator[PlannedClip]:
    """The clips of one split, from its own talkers and noises; the order of the draws is part of what a seed means."""
    if not getattr(config, split):
        return
    durations_s = [facts(source.path).duration_s for source in sources]
    of_talker = defaultdict[str, list[int]](list)
    for index, source in enumerate(sources):
        of_talker[source.talker].append(index)
    # a talker's turn comes as often as the square root of what there is of that talker
    talkers = sorted(of_talker)
    weight = np.sqrt([sum(durations_s[i] for i in of_talker[name]) for name in talkers])
    kinds = [
        kind
        for kind in kinds_here(around, config.kinds, split)
        if split == "test" or kind not in config.held_out_kinds
    ]

    if config.kinds and not kinds:
        raise DataError(
            f"all of {', '.join(config.kinds)} are for the test split alone, and nothing is left for {split}; "
            "give --held-out none"
        )

    @functools.cache
    def others_than(talker: str) -> list[Path]:
        return [source.path for source in sources if source.talker != talker]

    held_out = [kind for kind in config.held_out_kinds if kind in kinds]
    for index in range(getattr(config, split)):
        talker = talkers[int(rng.choice(len(talkers), p=weight / weight.sum()))]
        picked = int(rng.choice(of_talker[talker]))
        wanted = config.max_seconds * (1.0 if rng.random() < 0.8 else float(rng.uniform(0.4, 1)))
        length = min(durations_s[picked], wanted)
        start = float(rng.uniform(0, durations_s[picked] - length))
        unseen = held_out if split == "test" and index % 2 == 1 else []
        chain = PRESETS[config.preset](kinds, config.max_steps, rng, unseen)
        others = others_than(talker)
        voices = rng.choice(len(others), size=min(OTHERS, len(others)), replace=False)
        clip = PlannedClip(
            f"{split}-{index:06d}",
            split,
            sources[picked],
            round(start, 3),
            round(length, 3),
            chain,
            replace(around, talkers=tuple(others[i] for i in voices)),
            config.sample_rate or own_rate(sources[picked].path),
        )
        if length < config.min_seconds:
            alike = [i for i in of_talker[talker] if sources[i].is_reference == sources[picked].is_reference]
            rest = [(sources[i].path, durations_s[i]) for i in alike if i != picked]
            clip = replace(clip, more=_followers(rest, length, config, rng))
        yield from _ladder(clip, config.rungs, rng) if config.rungs > 1 and chain else [clip]


def _followers(
    rest: Sequence[tuple[Path, float]], length: float, config: DegradeConfig, rng: np.random.Generator
) -> tuple[Excerpt, ...]:
    """Recordings (path, seconds) in a random order, until a clip is long enough; the last is cut where it ends."""
    found = []
    for i in rng.permutation(len(rest)).tolist():
        path, seconds = rest[i]
        if length >= config.min_seconds or config.max_seconds - length < SHORTEST_S:
            break
        found.append(Excerpt(path, 0.0, round(min(seconds, config.max_seconds - length), 3)))
        length += found[-1].seconds
    return tuple(found)


def _ladder(clip: PlannedClip, rungs: int, rng: np.random.Generator) -> Iterator[PlannedClip]:
    """The clip with one of its steps, drawn, from mildest to hardest."""
    at = int(rng.integers(len(clip.chain)))
    for rung, severity in enumerate(np.linspace(0, 1, rungs).round(4).tolist()):
        chain = (*clip.chain[:at], replace(clip.chain[at], severity=severity), *clip.chain[at + 1 :])
        yield replace(clip, sample_id=f"{clip.sample_id}-{rung}", chain=chain, ladder=clip.sample_id)


def _tag(language: str) -> str:
    """A language as it is compared: "pt-br" of "pt_BR"."""
    return language.lower().replace("_", "-")


def _base(language: str) -> str:
    """The language of a tag without its region: "pt" of "pt-BR"."""
    return _tag(language).split("-")[0]


def _audio_files(folder: Path) -> list[Path]:
    """All audio in a folder, sorted; what is passed over there is told in the log."""
    if not folder.is_dir():
        raise DataError(f"{folder}: not a folder")
    listed = list_clips([folder])
    if listed.passed_over:
        logger.warning("%s: %s", folder, listed.passed_over)
    return [Path(entry.audio_path) for entry in listed.entries]


class _Row(NamedTuple):
    """A row of `manifest.csv`."""

    path: Path
    talker: str
    snr_db: float
    label: str
    language: str
    kind: str


def _table(folder: Path) -> list[_Row] | None:
    """The rows of the clips under a folder, by the nearest `manifest.csv`, whose paths may name its folder."""
    base = next((base for base in (folder, folder.parent) if (base / "manifest.csv").is_file()), None)
    if base is None:
        return None
    file, inside, found = base / "manifest.csv", folder.resolve(), []
    columns = ["path", "speaker", "snr_proxy_db?", "label?", "language?", "kind?"]
    for line, (name, talker, snr_db, *rest) in read_rows(file, columns):
        path = base / name
        if not path.exists() and (base.resolve().parent / name).exists():
            path = base.resolve().parent / name
        try:
            row = _Row(path, talker, float(snr_db or math.inf), *rest)
        except ValueError:
            raise DataError(
                f"{file}:{line}: snr_proxy_db is {snr_db!r}; expected a number or nothing"
            ) from None
        if row.path.resolve().is_relative_to(inside):
            found.append(row)
    return found
