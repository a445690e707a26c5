"""The challenge's submission: a flat zip of mos.scp and README.yaml, written only if nothing is missing or odd."""

import io
import math
import zipfile
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import yaml
from sqa_data.atomic import atomic_write
from sqa_data.ids import clip_id
from sqa_data.results import read_results

from sqa_model.errors import ModelError


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
    scores: dict[str, float] = {}
    found: Counter[str] = Counter()
    bad: list[str] = []
    for row in read_results(results):
        name = clip_id(row["sample_id"])
        found[name] += 1
        value = row.get("metrics", {}).get(metric)
        if isinstance(value, int | float) and math.isfinite(value):
            scores[name] = value
        else:
            bad.append(f"{name}: {row.get('error') or f'{metric} is {value}'}")
    wanted = {clip_id(name) for name in expected} if expected is not None else found.keys()
    problems = {
        "without a finite score": bad,
        "with a blank in the name": [repr(name) for name in found if not name or any(map(str.isspace, name))],
        "more than once": [name for name, n in found.items() if n > 1],
        "missing": sorted(wanted - found.keys()),
        "not asked for": sorted(found.keys() - wanted),
    }
    said = [f"{len(names)} {what}, such as {names[0]}" for what, names in problems.items() if names]
    if count is not None and len(scores) != count:
        said.append(f"{len(scores)} clips with a score, expected {count}")
    if not scores and not said:
        said.append("no scores")
    if said:
        raise ModelError(f"{results}: {'; '.join(said)}; no submission written")

    files = {
        "mos.scp": "".join(f"{name} {value}\n" for name, value in sorted(scores.items())),
        "README.yaml": yaml.safe_dump(dict(about), sort_keys=False, allow_unicode=True),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)  # a fixed date: the same scores give the same bytes
    with atomic_write(out) as file:
        file.write(buffer.getvalue())
    return len(scores)
