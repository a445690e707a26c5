"""What a corpus is: its facts, its archives, and how its label files become ratings.

Each module of `sqa_data.corpora` holds one `CORPUS` and its `parse`; dropping a file there is all it takes to add one.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from sqa_data.baseline import BaselineIds
from sqa_data.errors import DataError
from sqa_data.pairs import Pair
from sqa_data.tables import Tables


@dataclass(frozen=True, slots=True)
class Rating:
    """What one listener said of one clip."""

    split: str
    audio: str  # path below the corpus folder, with "/"
    sample_id: str
    system_id: str | None
    listener_id: str | None
    value: float
    label: str = "mos"  # what was asked, see sqa_data.labels
    language: str | None = None  # where a corpus has several


@dataclass(frozen=True, slots=True)
class Sample:
    """One clip with labels that its corpus publishes ready-made."""

    split: str
    audio: str  # path below the corpus folder, with "/"
    sample_id: str
    system_id: str | None
    metrics: dict[str, float]
    votes: int | None = None
    mos_std: float | None = None
    ratings: tuple[float, ...] = ()  # where published without their listeners
    language: str | None = None  # where a corpus has several


@dataclass(frozen=True, slots=True)
class Unusable:
    """A row of a label file that is left out, and why: what nobody can tell, in the words of a heading."""

    row: str  # file:line
    why: str


Opinion = Rating | Sample | Pair | Unusable


@dataclass(frozen=True, slots=True)
class Split:
    """What is published of one split; None: not known, or (systems) none exist."""

    samples: int | None
    systems: int | None = None
    hours: float | None = None
    note: str = ""
    optional: bool = False  # downloaded and prepared only if asked for
    rated: bool = True  # whether what listeners said is published with it
    again: tuple[str, ...] = ()  # splits of the same corpus some of whose clips are asked about here again


@dataclass(frozen=True, slots=True)
class Archive:
    """One file as published: an archive, or a table that lies beside it.

    A source is an https URL, or `hf://OWNER/REPO/PATH` in a dataset repository (`hf://models/OWNER/REPO/PATH`: of a
    model). Without any the user fetches it, as `Corpus.manual` says.
    """

    name: str
    sources: tuple[
        str, ...
    ]  # the original first, mirrors after it; of one that ends in "/" the name is left out; none: by hand
    size: int | None = None  # bytes
    checksum: str | None = None  # "md5:..." or "sha256:..."
    nested: tuple[str, ...] = ()  # archives inside it, to be unpacked where they lie

    def __post_init__(self) -> None:
        full = tuple(f"{source}{self.name}" if source.endswith("/") else source for source in self.sources)
        object.__setattr__(self, "sources", full)


@dataclass(frozen=True, slots=True)
class PickedClips:
    """Clips of a corpus that lie in archives of others, from which only they are taken.

    `plan(root)`: name of the archive -> member in it -> clip below the corpus folder `root`, with "/". A clip whose
    archive is "" is a copy of the file that the member names, in the folder that `root` is in. `write(content, path)`
    makes a clip of the bytes of a member; AudioError where it cannot.
    """

    archives: tuple[Archive, ...]  # tar.bz2
    plan: Callable[[Path], Mapping[str, Mapping[str, str]]]
    write: Callable[[bytes, Path], None]
    size: int | None = None  # bytes of all archives, about


@dataclass(frozen=True, slots=True)
class HubDataset:
    """A dataset repository: parquet files that carry audio and labels together, or plain files."""

    repo: str
    splits: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # ours -> its own with parquet, in order
    # of parquet: where the clips and their names are; those of a column "audio_a" are called ID_a
    audio: tuple[str, ...] = ("audio",)
    id: str = "sample_id"
    files: tuple[str, ...] = ()  # patterns of plain files, which are all brought


@dataclass(frozen=True, slots=True)
class Licence:
    name: str
    url: str
    ask: bool  # whether it forbids what a user may plan (commerce, passing on), so that they must accept
    note: str = ""


CC_BY_NC_SA = Licence(
    "CC BY-NC-SA 4.0",
    "https://creativecommons.org/licenses/by-nc-sa/4.0/",
    ask=True,
    note="no commercial use; what you derive from it carries the same licence",
)
CC_BY = Licence("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/", ask=False)
CC_BY_NC = Licence(
    "CC BY-NC 4.0",
    "https://creativecommons.org/licenses/by-nc/4.0/",
    ask=True,
    note="no commercial use",
)
CC_BY_SA = Licence("CC BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0/", ask=False)
MIT = Licence("MIT", "https://opensource.org/license/mit", ask=False)
APACHE = Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0", ask=False)

MIRROR = "hf://urgent-challenge/urgent26_track2_sqa/"  # of many archives, as a source that ends in "/"


ROUNDING = 0.051  # publishers round a mean of ratings to one decimal
FLAC = 0.65  # of the size of 16-bit samples, for speech
Use = Literal["training", "development", "evaluation"]


@dataclass(frozen=True, slots=True)
class Corpus:
    """All that is known of a corpus before its files are seen."""

    name: str
    title: str
    splits: dict[str, Split]
    sample_rates: tuple[int, ...]  # Hz, as published; empty: several, not checked
    licence: Licence
    archives: tuple[Archive, ...]
    links: tuple[str, ...]
    citation: str
    parse: Callable[[Path], Iterator[Opinion]]  # the corpus folder -> what its label files say
    # below the corpus folder, whose presence tells that folder; empty: the files of `each_row`
    label_files: tuple[str, ...] = ()
    # the same as the 2026 baseline reads it, where that differs
    parse_as_baseline: Callable[[Path], Iterator[Opinion]] | None = None
    # sample_id and system_id -> what clips of one reference (clean speech, or a text) share; None: not known
    reference: Callable[[str, str | None], str] | None = None
    baseline_ids: BaselineIds | None = None  # the ids that it gives; None: it has no such corpus
    method: str = "ACR"  # how listeners were asked: ACR, CCR, P.835, MUSHRA, preference ...
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # of labels that are not 1 to 5
    languages: tuple[str, ...] = ()  # ISO 639-1; empty: not known. If it is one, it is every clip's
    audio_of: str | None = None  # the corpus whose audio these labels lie over; paths are below its folder
    contains: tuple[str, ...] = ()  # corpora some of whose clips are in this one
    layout: str = "the 2026 baseline's script, which reads it"  # where the layout of the label files was seen
    assumed: bool = False  # whether that leaves doubts, so that `prepare` stops at the first surprise
    # label file, or a pattern of some -> the columns there, read or not, see `sqa_data.prepare.surprises`
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    clips: tuple[
        int, ...
    ] = ()  # in all splits, where splits have no count; any of these, where it is not clear
    use: tuple[Use, ...] = ("training",)  # what the URGENT 2026 task, or else its publisher, takes it for
    hub: HubDataset | None = None
    manual: str = ""  # what only the user can do, step by step; with `picked`: what they can do instead
    wavs: int | None = None  # audio files when complete, where the archives do not hold all
    picked: PickedClips | None = None  # clips that the archives do not hold, and where they are taken from

    def __post_init__(self) -> None:
        if isinstance(self.parse, Tables) and not self.label_files:
            object.__setattr__(self, "label_files", tuple(self.parse.files))
        if isinstance(self.parse, Tables) and not self.columns:
            object.__setattr__(self, "columns", dict.fromkeys(self.parse.files, self.parse.columns))

    @property
    def samples(self) -> tuple[int, bool]:
        """Clips in the usual splits, as far as they are published, and whether that is all of them."""
        usual = [split.samples for split in self.splits.values() if not split.optional]
        if self.clips:
            return min(self.clips), len(self.clips) == 1
        return sum(n or 0 for n in usual), None not in usual

    @property
    def size(self) -> tuple[int | None, bool]:
        """Bytes to download and whether that is exact; else as of 16-bit audio so long, in FLAC on the hub."""
        if self.picked:
            return self.picked.size, False
        if self.archives and not self.hub and all(archive.size for archive in self.archives):
            return sum(archive.size or 0 for archive in self.archives), True
        usual = [split for split in self.splits.values() if not split.optional and split.samples]
        known = [split for split in usual if split.hours]
        if not known:
            return None, False
        hours_a_clip = sum(split.hours or 0 for split in known) / sum(split.samples or 0 for split in known)
        rate = sum(self.sample_rates) / len(self.sample_rates) if self.sample_rates else 16000
        seconds = 3600 * hours_a_clip * sum(split.samples or 0 for split in usual)
        return round(seconds * rate * 2 * (FLAC if self.hub else 1)), False

    @property
    def files(self) -> tuple[Archive, ...]:
        """All that `download` brings besides what the hub holds."""
        return self.archives + (self.picked.archives if self.picked else ())

    @property
    def downloadable(self) -> bool:
        """Whether `download` alone brings everything."""
        return self.picked is not None or not self.manual


# name -> (what it is, its corpora)
SETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "urgent2026": (
        "URGENT 2026 challenge, track 2: training, development and evaluation",
        (
            *("bc19", "bvcc", "chime-7-udase-eval", "nisqa", "pstn", "somos", "tcd-voip", "tencent"),
            *("tmhint-qi", "ttsds2", "urgent2024-sqa", "urgent2025-sqa"),
        ),
    ),
    "mos-bench": (
        "MOS-Bench of SHEET: training and test sets; SingMOS-Pro for its first version",
        (
            *("bc19", "bc23", "brspeechmos", "bvcc", "hablamos", "nisqa", "pstn", "qualispeech"),
            *("singmos-pro", "somos", "svcc23", "tcd-voip", "tencent", "tmhint-qi", "tmhint-qi-s"),
            *("ttsds2", "urgent2024-sqa", "vmc24-track3"),
        ),
    ),
    "urgent-mos": (
        # configs/f1c1m5_d_corpus.yaml of github vvwangvv/URGENT-MOS
        "UrgentMOS, the baseline of VoiceMOS 2026 track 1: what its published model learned from",
        (
            *("nisqa", "pstn", "somos", "speecheval", "speechjudge", "tcd-voip", "tencent", "tmhint-qi"),
            "ttsds2",
        ),
    ),
    "vmc2026-track1": (
        "VoiceMOS Challenge 2026, track 1: development and test, without labels",
        ("vmc2026-track1-dev", "vmc2026-track1-test"),
    ),
}


def expanded(names: Iterable[str]) -> list[str]:
    """The names with each set of `SETS` replaced by its corpora, each once.

    >>> expanded(["BVCC", "urgent2026"])[:2]
    ['bvcc', 'bc19']
    """
    plain = (name.lower().replace("_", "-") for name in names)
    return list(
        dict.fromkeys(corpus for name in plain for corpus in (SETS[name][1] if name in SETS else (name,)))
    )


def related(a: str, b: str) -> bool:
    """Whether two corpora share clips, by what their publishers say, see `in_common`.

    >>> related("bvcc", "bvcc"), related("bvcc", "somos"), related("qualispeech", "speecheval")
    (True, False, True)
    """
    return bool(in_common(a, b))


def in_common(a: str, b: str) -> tuple[str, ...]:
    """The corpora of whose clips two corpora both have some; of one that another of them holds only the other.

    A corpus has clips of itself or, if its labels lie over another's audio, of that; and of all that these contain,
    directly or through others. So two parts of a third are not related for that: VCC 2018 and 2020, both in BVCC.

    >>> in_common("qualispeech", "speecheval"), in_common("vcc2018", "speecheval"), in_common("vcc2018", "vcc2020")
    (('bvcc',), ('vcc2018',), ())
    """
    both = _held(a) & _held(b)
    return tuple(sorted(x for x in both if not any(x in _held(y) and y not in _held(x) for y in both)))


def _held(name: str) -> set[str]:
    """The corpora of which one has clips."""
    known = {corpus.name: corpus for corpus in list_corpora()}
    seen: set[str] = set()
    ahead = [name]
    while ahead:
        if (name := ahead.pop()) not in seen:
            seen.add(name)
            corpus = known.get(name)
            ahead += [*corpus.contains, *filter(None, [corpus.audio_of])] if corpus else []
    # labels over the audio of another bring no clips of their own
    return {name for name in seen if name not in known or not known[name].audio_of}


def asked_again(corpus: str | None, a: str | None, b: str | None) -> bool:
    """Whether two splits of a corpus are tests of the same clips by what its publisher says.

    >>> asked_again("urgent2026-sqa", "acr", "ccr"), asked_again("somos", "train", "test")
    (True, False)
    """
    splits = next((known.splits for known in list_corpora() if known.name == corpus), {})
    return any(x in splits and y in splits[x].again for x, y in ((a, b), (b, a)))


def is_measured_on(corpus: str | None, split: str | None) -> bool | None:
    """Whether a split is for evaluation (True) or training (False) by what its publisher says; None: either may be.

    Where a corpus has a split called train its other splits are for evaluation; without one `Corpus.use` tells.

    >>> is_measured_on("bvcc", "test"), is_measured_on("bvcc", "train"), is_measured_on("vcc2020", "english")
    (True, False, None)
    """
    if split == "train":
        return False
    known = next((known for known in list_corpora() if known.name == corpus), None)
    if known is None or split not in known.splits:
        return None
    return True if "train" in known.splits or "training" not in known.use else None


@cache
def list_corpora() -> tuple[Corpus, ...]:
    """Every corpus known here, by name.

    >>> [corpus.name for corpus in list_corpora()][:3]
    ['aes-speech', 'amc25-track3', 'bc19']
    """
    from sqa_data import corpora

    found = [
        importlib.import_module(f"{corpora.__name__}.{module.name}").CORPUS
        for module in pkgutil.iter_modules(corpora.__path__)
        if not module.name.startswith("_")
    ]
    return tuple(sorted(found, key=lambda corpus: corpus.name))


def get_corpus(name: str) -> Corpus:
    """The corpus called `name` (case and "_" for "-" do not matter); DataError names the known ones."""
    wanted = name.lower().replace("_", "-")
    for corpus in list_corpora():
        if corpus.name == wanted:
            return corpus
    if wanted in SETS:
        raise DataError(f"{name!r} is a set of corpora, {', '.join(SETS[wanted][1])}; expected one of them")
    known = [corpus.name for corpus in list_corpora()]
    close = difflib.get_close_matches(wanted, [*known, *SETS], n=1)
    remedy = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
    raise DataError(f"no corpus {name!r}; {remedy}")
