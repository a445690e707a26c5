"""Submissions to challenges, written only if nothing is missing or odd.

`write_submission` makes the zip of mos.scp and README.yaml of the URGENT 2026 challenge, track 2. `write_answers` makes
one file of clips rated alone (ACR) and pairs (CCR), as the challenges in `ANSWERS` ask for it.
"""

import io
import math
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from sqa_data.atomic import atomic_write
from sqa_data.corpus import get_corpus
from sqa_data.ids import clip_id
from sqa_data.pairs import CMOS
from sqa_data.results import Row, read_results

from sqa_model.errors import ModelError

ACR = (1.0, 5.0)


@dataclass(frozen=True)
class Answers:
    """The file that a challenge with clips and pairs takes: scores with 4 decimals, clips first."""

    name: str  # of the file, inside a zip
    head: str
    between: str  # name and score
    corpora: tuple[str, ...]  # of one of these all clips (split acr) and all pairs (split ccr) are asked for

    def sizes(self) -> dict[tuple[int, int], str]:
        """(clips, pairs) -> the corpus that has so many."""
        splits = {name: get_corpus(name).splits for name in self.corpora}
        return {(s["acr"].samples or 0, (s["ccr"].samples or 0) // 2): name for name, s in splits.items()}


ANSWERS = {
    "voicemos2026": Answers(
        "predictions.csv", "sample_id,pred_score\n", ",", ("vmc2026-track1-dev", "vmc2026-track1-test")
    ),
    "urgent2026": Answers("predictions.scp", "", " ", ("urgent2026-sqa",)),
}


def write_submission(
    results: Path,
    out: Path,
    about: Mapping[str, str | float | list[str]],
    *,
    expected: Collection[str] | None = None,
    count: int | None = None,
    metric: str = "mos",
) -> int:
    """Turn a results file into the zip that the challenge takes; returns the number of scores.

    Args:
        about: README.yaml's content, such as team, data, system_type, model_size, loss, pretrained_models.
        expected: the names that must be there, no more and no fewer.
        count: how many scores there must be.

    Raises: ModelError naming the rows that are missing, extra, doubled, failed or not finite; nothing is
    written.
    """
    rows = [(clip_id(row["sample_id"]), row) for row in read_results(results)]
    scores, said = _scores(rows, metric, None if expected is None else {clip_id(name) for name in expected})
    if count is not None and len(scores) != count:
        said.append(f"{len(scores)} clips with a score, expected {count}")
    if not scores and not said:
        said.append("no scores")
    _require_none(said, [results])
    _write_zip(
        out,
        {
            "mos.scp": "".join(f"{name} {value}\n" for name, value in scores.items()),
            "README.yaml": yaml.safe_dump(dict(about), sort_keys=False, allow_unicode=True),
        },
    )
    return len(scores)


def write_answers(
    results: Sequence[Path],
    out: Path,
    answers: Answers,
    *,
    expected: tuple[Collection[str], Collection[str]] | None = None,
    metric: str = "mos",
) -> tuple[int, int]:
    """Turn results of clips and of pairs into one file of answers; returns the numbers of clips and of pairs.

    Args:
        results: files of `predict` and of `predict --pairs`; rows of pairs are those that name `a` and `b`.
        out: the file, or, if it ends in .zip, a zip that holds it.
        expected: the names of all clips and of all pairs; without them there must be as many as in a corpus of the
            challenge.
        metric: the head of clips; of pairs it is cmos. Scores are clamped to their scales, 1..5 and -3..3.

    Raises: ModelError as `write_submission` does.
    """
    rows = [row for path in results for row in read_results(path)]
    clips = [(clip_id(row["sample_id"]), row) for row in rows if not _is_pair(row)]
    pairs = [(row["sample_id"], row) for row in rows if _is_pair(row)]
    named = expected or (None, None)
    said: list[str] = []
    found: list[dict[str, float]] = []
    for what, some, head, wanted, (low, high) in (
        ("clips", clips, metric, named[0], ACR),
        ("pairs", pairs, "cmos", named[1], CMOS),
    ):
        scores, problems = _scores(some, head, None if wanted is None else set(wanted))
        said += [f"{what}: {problem}" for problem in problems]
        found.append({name: min(max(score, low), high) for name, score in scores.items()})
    nameless = [name for name, row in pairs if name == f"{row['a']}|{row['b']}"]
    if nameless:
        said.append(f"pairs: {len(nameless)} without an id of their own, such as {nameless[0]}")
    sizes, size = answers.sizes(), (len(found[0]), len(found[1]))
    if expected is None and size not in sizes:
        asked = " or ".join(f"{a:,} and {b:,} ({corpus})" for (a, b), corpus in sizes.items())
        said.append(f"found {size[0]:,} clips and {size[1]:,} pairs with a score, expected {asked}")
    _require_none(said, results)
    # what rounds to 0 has no sign
    lines = [
        f"{name}{answers.between}{round(score, 4) + 0.0:.4f}\n"
        for part in found
        for name, score in part.items()
    ]
    text = answers.head + "".join(lines)
    if out.suffix.lower() == ".zip":
        _write_zip(out, {answers.name: text})
    else:
        with atomic_write(out) as file:
            file.write(text.encode())
    return size


def _is_pair(row: Row) -> bool:
    return "a" in row and "b" in row


def _scores(
    rows: Iterable[tuple[str, Row]], metric: str, expected: Collection[str] | None
) -> tuple[dict[str, float], list[str]]:
    """(finite scores by name, in the order of names; what is wrong with the rows)."""
    scores: dict[str, float] = {}
    found: Counter[str] = Counter()
    bad: list[str] = []
    for name, row in rows:
        found[name] += 1
        value = row.get("metrics", {}).get(metric)
        if isinstance(value, int | float) and math.isfinite(value):
            scores[name] = value
        else:
            bad.append(f"{name}: {row.get('error') or f'{metric} is {value}'}")
    wanted = set(expected) if expected is not None else found.keys()
    problems = {
        "without a finite score": bad,
        "with a blank in the name": [repr(name) for name in found if not name or any(map(str.isspace, name))],
        "more than once": [name for name, n in found.items() if n > 1],
        "missing": sorted(wanted - found.keys()),
        "not asked for": sorted(found.keys() - wanted),
    }
    said = [f"{len(names)} {what}, such as {names[0]}" for what, names in problems.items() if names]
    return dict(sorted(scores.items())), said


def _require_none(said: Sequence[str], results: Sequence[Path]) -> None:
    """Raise `ModelError` for what is wrong, if anything is."""
    if said:
        raise ModelError(f"{', '.join(map(str, results))}: {'; '.join(said)}; no submission written")


def _write_zip(out: Path, files: Mapping[str, str]) -> None:
    """A flat zip of these texts."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)  # a fixed date: the same scores give the same bytes
    with atomic_write(out) as file:
        file.write(buffer.getvalue())
