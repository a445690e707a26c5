"""SpeechJudge-Data: which of two clips of synthetic speech sounds more natural."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqa_data.corpus import CC_BY_NC, Corpus, HubDataset, Opinion, Sample, Split, Unusable
from sqa_data.errors import DataError
from sqa_data.pairs import Pair
from sqa_data.sources.parquet import audio_path, clip_name, parts, read_columns, suffix_of

SPLITS = {split: (split,) for split in ("train", "dev", "test", "other")}
SIDES = ("audioA", "audioB")
LABEL, VOTES = "naturalness_label", "naturalness_annotation"
COLUMNS = ("index", "language_setting", LABEL, VOTES, *SIDES)
UNREAD = (
    *("subset?", "chosen?", "prompt?", "prompt_text?", "target_text?", "rater?", "gemini-2.5-flash?"),
    *(f"{side}_text_accuracy?" for side in SIDES),
)
PREFERENCES: dict[Any, Any] = {"A": "a", "B": "b", "Tie": "tie"}
PAGE = "https://huggingface.co/datasets/RMSnow/SpeechJudge-Data"


def parse(root: Path) -> Iterator[Opinion]:
    for split in SPLITS:
        for path in parts(root, split):
            names, rows = read_columns(
                path, ["index", "language_setting", LABEL, VOTES, *(f"{side}.path" for side in SIDES)]
            )
            for line, row in enumerate(rows, start=1):
                yield from _of_row(dict(zip(names, row, strict=True)), f"{path}: row {line}", split)


def _of_row(row: dict[str, Any], where: str, split: str) -> Iterator[Opinion]:
    """Two clips without a score of their own, and the preference. "zh2en": English after a Chinese prompt."""
    index, label = row.get("index"), row.get(LABEL)
    if index is None:
        raise DataError(f"{where}: no index")
    ids = []
    for side in SIDES:
        clip = clip_name(index, side)
        ids.append(f"{split}-{clip}")
        audio = audio_path(split, "", clip, suffix_of(row.get(f"{side}.path")))
        language = str(row.get("language_setting") or "").partition("2")[2] or None
        yield Sample(split, audio, ids[-1], None, {}, language=language)
    if not label:
        yield Unusable(where, "a pair without a preference")
    elif not isinstance(label, str) or label not in PREFERENCES:
        raise DataError(f"{where}: {LABEL} is {label!r}; expected one of {', '.join(PREFERENCES)}")
    else:
        given = row.get(VOTES) or []
        if not isinstance(given, list):
            raise DataError(f"{where}: {VOTES} is {given!r}; expected a list, one entry a rater")
        yield Pair(ids[0], ids[1], preference=PREFERENCES[label], votes=len(given) or None, split=split)


CORPUS = Corpus(
    name="speechjudge",
    title="SpeechJudge-Data (preferences of naturalness)",
    splits={
        "train": Split(None, note="about 42,000 pairs; 99,000 in all, 211 GB"),
        "dev": Split(None),
        "test": Split(None, note="SpeechJudge-Eval: pairs whose raters agree"),
        "other": Split(None, optional=True, rated=False),
    },
    sample_rates=(),
    method="preference",
    languages=("en", "zh"),
    licence=CC_BY_NC,
    archives=(),
    links=(PAGE, "https://github.com/AmphionTeam/SpeechJudge"),
    citation="X. Zhang et al., SpeechJudge: Towards human-level judgment for speech naturalness, 2025",
    label_files=("*.parquet",),
    parse=parse,
    layout="public scripts that read it",
    assumed=True,
    columns=dict.fromkeys(SPLITS, (*COLUMNS, *UNREAD)),
    hub=HubDataset("RMSnow/SpeechJudge-Data", SPLITS, audio=SIDES, id="index"),
    manual=f"""\
The Hub gives this corpus only to those who accepted its terms.
  1. log in and accept them on {PAGE}
  2. export HF_TOKEN=...   a token of yours that may read
  3. sqa-cli data download {{name}}   brings 211 GB; some clips do not decode: prepare with --partial""",
)
