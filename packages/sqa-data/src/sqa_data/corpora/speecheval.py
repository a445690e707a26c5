"""SpeechEval: speech in four languages, described in words; scores stand inside the text, preferences beside it."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpus import CC_BY_NC_SA, Archive, Corpus, HubDataset, Opinion, Sample, Split, Unusable
from sqa_data.errors import DataError
from sqa_data.ids import clip_id
from sqa_data.lines import JsonObject, Wrong, open_lines, parse_object
from sqa_data.pairs import Pair
from sqa_data.tables import below

TASKS = "data_split/*/{}/multitask.jsonl"
PARTS = {"train": "train", "validation": "dev", "test": "test"}  # theirs -> our split
FOLDERS = {"train": ("train",), "validation": ("validation", "val", "dev"), "test": ("test",)}
PREFERENCES = {"A": "a", "B": "b", "tie": "tie"}
LANGUAGES = ("en", "zh", "ja", "fr")
LABELS = {
    "Overall Quality": "mos",
    "Intelligibility": "mos_intelligibility",
    "Distortion": "mos_distortion",
    "Dynamic Range": "mos_dynamics",
    "Emotional Impact": "mos_emotion",
    "Artistic Expression": "mos_expression",
    "Subjective Experience": "mos_experience",
}
# a line of its own, such as "Overall Quality: 2/5" or "Distortion: 2 (artifacts)"
SCORE = re.compile(
    rf"^[ \t]*({'|'.join(LABELS)})[ \t]*:[ \t]*([1-5])(?:[ \t]*/[ \t]*5)?[ \t]*(?:\(.*\))?[ \t]*$", re.M
)


def parse(root: Path) -> Iterator[Opinion]:
    """Clips with the mean of the scores that texts about them state, and pairs; other tasks are no opinions."""
    for part, split in PARTS.items():
        files = [path for name in FOLDERS[part] for path in sorted(root.glob(TASKS.format(name)))]
        if not files:
            raise DataError(f"{root}: no {TASKS.format(part)}; the tasks are in other folders than assumed")
        clips: dict[str, defaultdict[str, list[int]]] = {}
        pairs: dict[str, tuple[str, str, str]] = {}  # key -> the two clips, and where it stands
        for where, row, path, line in _rows(files):
            task = row.get("task")
            if task == "SingleEval":
                audio, found = _path(row, "path", path, line), scores(_text(row))
                if "mos" not in found:
                    yield Unusable(where, "whose text states no overall quality of 1 to 5")
                    continue
                said = clips.setdefault(audio, defaultdict(list))
                for label, score in found.items():
                    said[label].append(score)
            elif task == "CompareEval":
                a, b = (_path(row, side, path, line) for side in ("path", "path_B"))
                key = str(row.get("key"))
                if pairs.setdefault(key, (a, b, where))[:2] != (a, b):
                    raise DataError(f"{where}: {key!r} compares other clips than in {pairs[key][2]}")
            elif task not in ("Suggest", "FakeDetection"):
                raise DataError(
                    f"{where}: task is {task!r}; expected SingleEval, CompareEval, Suggest, FakeDetection"
                )
        yield from _pairs(root / "preference" / f"{part}.jsonl", split, pairs, clips)
        for audio, said in clips.items():
            means = {label: math.fsum(given) / len(given) for label, given in said.items()}
            # several texts on a clip may be one rating in other words: how many votes is not told
            yield Sample(split, audio, clip_id(audio), None, means, language=_language(audio))


def scores(text: str) -> dict[str, int]:
    """The scores that a text states on lines of their own; a scale with two different ones is left out.

    >>> scores("Overall Quality: 2/5\\nDistortion: 3/5 (artifacts)\\nSpeech Rate: suitable")
    {'mos': 2, 'mos_distortion': 3}
    >>> scores("The overall quality is 4 of 5."), scores("Overall Quality: 45"), scores("Overall Quality: 2-3")
    ({}, {}, {})
    """
    found: dict[str, set[int]] = {}
    for name, score in SCORE.findall(text):
        found.setdefault(LABELS[name], set()).add(int(score))
    return {label: given.pop() for label, given in found.items() if len(given) == 1}


def _pairs(
    path: Path,
    split: str,
    pairs: dict[str, tuple[str, str, str]],
    clips: dict[str, defaultdict[str, list[int]]],
) -> Iterator[Opinion]:
    """The pairs that have a preference; their clips come to `clips`, also where nobody scored them."""
    left = dict(pairs)
    for where, row, _, _ in _rows([path]):
        if row.get("preference") not in PREFERENCES:
            raise DataError(f"{where}: preference is {row.get('preference')!r}; expected A, B or tie")
        a, b, _ = left.pop(str(row.get("key")), ("", "", ""))
        if not a or a == b:
            why = "which compares a clip with itself" if a else "whose two clips no row of the tasks names"
            yield Unusable(where, why)
            continue
        for audio in (a, b):
            clips.setdefault(audio, defaultdict(list))
        preference = PREFERENCES[row["preference"]]
        yield Pair(clip_id(a), clip_id(b), preference=preference, split=split)  # type: ignore[arg-type]
    for _, _, where in left.values():
        yield Unusable(where, "whose pair has no preference")


def _rows(files: list[Path]) -> Iterator[tuple[str, JsonObject, Path, int]]:
    for path in files:
        for line, content in open_lines(path):
            try:
                yield f"{path}:{line}", parse_object(content), path, line
            except Wrong as error:
                raise DataError(f"{path}:{line}: {error}") from None


def _path(row: JsonObject, key: str, path: Path, line: int) -> str:
    if not isinstance(row.get(key), str):
        raise DataError(f"{path}:{line}: {key} is {row.get(key)!r}; expected a path such as audio/en/x.wav")
    return below(row[key], path, line)


def _text(row: JsonObject) -> str:
    """What was said of a clip: `target`, or what the assistant says in `messages`."""
    messages = row.get("messages")
    told = (
        [m.get("content") for m in messages if isinstance(m, dict) and m.get("role") == "assistant"]
        if (isinstance(messages, list))
        else []
    )
    return "\n".join(text for text in (row.get("target"), *told) if isinstance(text, str))


def _language(audio: str) -> str | None:
    folder = audio.split("/")[-2:-1]
    return folder[0] if folder and folder[0] in LANGUAGES else None


CORPUS = Corpus(
    name="speecheval",
    title="SpeechEval (scores in words, preferences)",
    splits={
        "train": Split(None, note="32,207 clips in all splits"),
        "dev": Split(None),
        "test": Split(None),
    },
    sample_rates=(),
    method="ACR and preference",
    languages=LANGUAGES,
    licence=CC_BY_NC_SA,
    archives=tuple(
        Archive(f"preference/{part}.jsonl", (f"hf://vvwangvv/SpeechEval-Preference/{part}.jsonl",))
        for part in PARTS
    ),
    hub=HubDataset("Hui519/SpeechEval", files=("data_split/*", "audio/*")),
    links=(
        "https://huggingface.co/datasets/Hui519/SpeechEval",
        "https://huggingface.co/datasets/vvwangvv/SpeechEval-Preference",
    ),
    citation="H. Wang et al., SpeechLLM-as-Judges: Towards general and interpretable speech quality evaluation, 2025",
    label_files=("data_split/*/*/multitask.jsonl", *(f"preference/{part}.jsonl" for part in PARTS)),
    parse=parse,
    layout="the file names of its repository, UrgentMOS's script for the pairs, and texts of its authors' model",
    assumed=True,
    columns={
        TASKS.format("*"): ("key", "task", "path", "path_B?", "target?", "messages?"),
        **{f"preference/{part}.jsonl": ("key", "preference") for part in PARTS},
    },
    contains=("bvcc",),
)
