"""SingMOS-Pro: synthesised, converted and resynthesised singing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqa_data.corpus import CC_BY, Corpus, HubDataset, Opinion, Rating, Sample, Split, Unusable
from sqa_data.errors import DataError
from sqa_data.tables import below, number, read_json

SCORES, SETS = "info/score.json", "info/split.json"


def parse(root: Path) -> Iterator[Opinion]:
    path = root / SCORES
    found, splits = read_json(path), _splits(root / SETS)
    if not isinstance(found, dict) or not isinstance(found.get("utterance"), dict):
        raise DataError(f'{path}: expected {{"utterance": {{"sys0001-utt0001": {{…}}}}}}')
    for clip, entry in found["utterance"].items():
        if clip in splits:
            yield from _of_clip(splits[clip], clip, entry, path)
        else:
            yield Unusable(f"{path}: {clip}", f"of clips that are in no set of {SETS}")


def _of_clip(split: str, clip: str, entry: Any, path: Path) -> Iterator[Sample | Rating]:
    """The published MOS, and the rating of each judge."""
    try:
        system_id, score, wav = str(entry["sys_id"]), entry["score"], str(entry["wav"])
        mos, given = score["mos"], list(zip(score["judges"], score["scores"], strict=True))
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"{path}: {clip}: found {str(entry)[:200]}; expected sys_id, wav and score with mos, and as many judges as "
            "scores"
        ) from None
    of_clip = split, below(wav, path, 1), clip, system_id
    yield Sample(*of_clip, {"mos": number(str(mos), f"the MOS of {clip}", path, 1)})
    for judge, value in given:
        yield Rating(*of_clip, str(judge), number(str(value), f"a score of {clip}", path, 1))


def _splits(path: Path) -> dict[str, str]:
    """The set of each clip."""
    found = read_json(path)
    if not isinstance(found, dict) or not all(isinstance(found.get(name), list) for name in CORPUS.splits):
        raise DataError(f"{path}: expected lists of clips by {', '.join(CORPUS.splits)}")
    return {str(clip): name for name in CORPUS.splits for clip in found[name]}


CORPUS = Corpus(
    name="singmos-pro",
    title="SingMOS-Pro (singing)",
    splits={
        "train": Split(None, note="11.15 h in all"),
        "test1": Split(1287, 35),
        "test2": Split(1379, 63),
        "test3": Split(339, 16),
    },
    clips=(7981,),
    sample_rates=(16000, 24000, 44100),
    languages=("ja", "zh"),
    licence=CC_BY,
    archives=(),
    links=("https://huggingface.co/datasets/TangRain/SingMOS-Pro",),
    citation="Y. Tang et al., SingMOS-Pro: A comprehensive benchmark for singing quality assessment, ICASSP 2026",
    label_files=(SCORES, SETS),
    parse=parse,
    layout="public scripts that read its scores; the names of the sets in SHEET's",
    assumed=True,
    columns={
        SCORES: (
            *("utterance.*.sys_id", "utterance.*.wav", "system*?"),
            *(f"utterance.*.score.{key}" for key in ("mos", "judges", "scores")),
        ),
        SETS: ("train", "test1", "test2", "test3"),
    },
    hub=HubDataset("TangRain/SingMOS-Pro", files=("info/*.json", "wav/*.wav")),
)
