"""Read score files as columns and join a reference with its predictions, row by row, losing none.

Formats, told apart by content (never by file name):

- JSON Lines: `{"sample_id": "u1", "system_id": "s1", "corpus": "bvcc", "metrics": {"mos": 3.5}}`, where `system_id`
  and `corpus` are optional, as are `votes` and `mos_std` (number and sample standard deviation of the ratings);
- CSV or TSV with a header (`sample_id` or `utt` or `wav_path`, optional `system_id`, `corpus`, one column a metric;
  SHEET's `avg_score`, `score` and `answer` are understood as `mos`);
- VoiceMOS answer list: `utt,score`, no header;
- Kaldi scp: `utt score`, no header, blank-separated.

Rows that carry a `listener_id` are single ratings; they are averaged to one MOS a sample, with votes and spread.

Two rows are the same utterance if (corpus, system_id, sample_id) agree; a column that one of the two files lacks
altogether is left out of the key. Coverage is strict by default: a predictor that omits its bad items would look
better than it is.
"""

import io
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from sqa_metrics.errors import MetricsError
from sqa_metrics.rows.systems import names_systems, systems_of

Role = Literal["ref", "pred"]
Source = str | Path | BinaryIO

# From this many bytes of input on (some 40,000 rows) the compiled reader repays importing Numba, 0.4 s.
COMPILED_FROM_BYTES = 8_000_000

LARGEST = 1e100  # a larger score is a broken one, and its square would leave the range of a float

# What files of other toolkits call the MOS column, in the order of preference for each role (SHEET's result
# tables carry the true `avg_score` beside the predicted `answer`).
MOS_COLUMNS = {
    "ref": ("mos", "MOS", "avg_score", "mean_score", "score", "rating"),
    "pred": ("mos", "MOS", "answer", "avg_score", "mean_score", "score"),
}
RATING_COLUMNS = ("rating", "score")  # the same in a row with a listener_id, before the columns above
ID_COLUMNS = ("sample_id", "utt", "utt_id", "wav_path", "wav", "path")
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".m4a")


@dataclass(frozen=True)
class Scores:
    """One score file as columns of equal length; `value` is NaN where the row has no finite score."""

    path: str
    metric: str
    sample_id: list[str]
    system_id: list[str] | None  # None: the file names no systems
    corpus: list[str] | None
    value: list[float]
    line: list[int]  # 1-based, for messages
    votes: list[float] | None = None  # ratings behind each value
    std: list[float] | None = None  # sample standard deviation of those ratings

    def __len__(self) -> int:
        return len(self.value)


@dataclass(frozen=True)
class Coverage:
    """How the rows of one prediction file and the reference meet, in rows."""

    n_ref: int
    n_pred: int
    n_missing: int  # in the reference, not in the prediction
    n_extra: int  # in the prediction, not in the reference
    n_non_finite: int  # in both, but one of the two has no finite score

    @property
    def complete(self) -> bool:
        return self.n_missing == self.n_extra == self.n_non_finite == 0


@dataclass(frozen=True)
class Paired:
    """Reference and predictions on the same utterances, in the order of the reference.

    `ref` and each of `preds` hold n values; `system[i]` indexes `systems` (sorted) and is -1 for an utterance of a
    corpus without systems (see `rows.systems`); `corpus[i]` indexes `corpora` (all of the reference's, sorted).
    `noise[i]` is the variance of the i-th reference MOS as the mean of its ratings (std^2 / votes), NaN where the
    reference does not say. Plain lists for small inputs, NumPy arrays for large ones.
    """

    names: list[str]  # one a prediction
    ref: Any  # (n,)
    preds: list[Any]  # each (n,)
    system: Any  # (n,) int
    systems: list[tuple[str, str]]  # (corpus, system_id)
    corpus: Any  # (n,) int
    corpora: list[str]
    coverage: list[Coverage]  # one a prediction
    ref_utterances: list[int]  # a corpus: utterances in the whole reference, scored or not
    ref_systems: list[int]  # a corpus: systems likewise
    noise: Any | None = None  # (n,)
    self_named: tuple[str, ...] = ()  # corpora whose system ids only repeat the sample ids: no systems

    def __len__(self) -> int:
        return len(self.ref)


def read_scores(
    source: Source, metric: str = "mos", *, role: Role = "pred", utt2sys: dict[str, str] | None = None
) -> Scores:
    """Read one score file (path, "-" for standard input, or an open binary file).

    `utt2sys` adds system ids to a file that has none. Raises MetricsError naming file and line.

    >>> import io
    >>> scores = read_scores(io.BytesIO(b"u1,3.5\\nu2.wav,4\\n"))
    >>> scores.sample_id, scores.value
    (['u1', 'u2'], [3.5, 4.0])
    """
    return _parse(_read_bytes(source), _name(source), metric, role, utt2sys)


def read_utt2sys(path: str | Path) -> dict[str, str]:
    """Read a Kaldi `utt2sys` file: `utt system`, one a line; audio paths also go by their stem.

    Raises MetricsError naming file and line.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"u1 s1\\nu2 s1\\n"), file.flush()
    ...     read_utt2sys(file.name)
    {'u1': 's1', 'u2': 's1'}
    """
    table: dict[str, str] = {}
    for number, line in enumerate(_text(_read_bytes(path), str(path)).split("\n"), 1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2:
            raise MetricsError(f"{path}:{number}: found {len(fields)} fields, expected 'utt system'")
        utt, system = fields
        for name in {utt, _stem(utt)}:
            if table.setdefault(name, system) != system:
                raise MetricsError(
                    f"{path}:{number}: {name!r} is in {table[name]!r} already, found {system!r}"
                )
    return table


def pair(
    ref: Source,
    preds: dict[str, Source],
    *,
    ref_metric: str = "mos",
    pred_metric: str = "mos",
    utt2sys: dict[str, str] | None = None,
    allow_missing: bool = False,
) -> Paired:
    """Read a reference and one or more prediction files (name -> source) and join them.

    Strict by default: missing, extra or non-finite rows raise MetricsError with counts and the first id of each;
    duplicate ids always do. With `allow_missing` the utterances that every file has are kept, and `coverage` says
    how many that are.

    >>> import io
    >>> preds = {"a": io.BytesIO(b"u2 2.5\\nu1 1.5"), "b": io.BytesIO(b"u1 3\\nu2 4")}
    >>> paired = pair(io.BytesIO(b"u1 1\\nu2 2"), preds)
    >>> paired.ref, paired.preds
    ([1.0, 2.0], [[1.5, 2.5], [3.0, 4.0]])
    """
    ref_bytes, pred_bytes = _read_bytes(ref), {name: _read_bytes(source) for name, source in preds.items()}
    if utt2sys is None and len(ref_bytes) + sum(map(len, pred_bytes.values())) >= COMPILED_FROM_BYTES:
        from sqa_metrics import _columns

        # None: not plain JSON Lines, or something is wrong with a row; below we find out what and where.
        paired = _columns.pair(ref_bytes, pred_bytes, ref_metric, pred_metric)
        if paired and (allow_missing or all(c.complete for c in paired.coverage)):
            return paired
    return join(
        _parse(ref_bytes, _name(ref), ref_metric, "ref", utt2sys),
        {n: _parse(b, _name(preds[n]), pred_metric, "pred", None) for n, b in pred_bytes.items()},
        allow_missing=allow_missing,
    )


def join(ref: Scores, preds: dict[str, Scores], *, allow_missing: bool = False) -> Paired:
    """Join score columns on (corpus, system_id, sample_id); see `pair` for the rules.

    >>> ref = Scores("ref", "mos", ["a", "b"], ["s", "s"], None, [1.0, 2.0], [1, 2])
    >>> pred = Scores("pred", "mos", ["b", "a"], None, None, [2.5, 1.5], [1, 2])
    >>> join(ref, {"p": pred}).preds
    [[1.5, 2.5]]
    """
    rows: list[list[int]] = []  # one a prediction: its row for each row of ref, or -1
    coverage = []
    for pred in preds.values():
        match, report = _match(ref, pred, allow_missing)
        rows.append(match)
        coverage.append(report)
    keep = [i for i in range(len(ref)) if all(match[i] >= 0 for match in rows)]
    if not keep:
        raise MetricsError(
            f"no utterance to score: {ref.path} and {', '.join(p.path for p in preds.values())} share no id "
            f"with a finite score in both ({_first(ref, [0])}). Predictors that scored different utterances of "
            "the same systems: compare them with --unpaired (compare_unpaired)."
        )
    ref_corpus = ref.corpus or [""] * len(ref)
    corpora = sorted(set(ref_corpus))
    code = {name: k for k, name in enumerate(corpora)}
    corpus_names = [ref_corpus[i] for i in keep]
    names, self_named = systems_of(ref.system_id, ref.sample_id, ref.corpus)
    ref_systems = set(zip(ref_corpus, names, strict=True))
    kept_names = [names[i] for i in keep]
    if not any(names):
        # then those of the first prediction that names some
        for pred, match in zip(preds.values(), rows, strict=True):
            names, _ = systems_of(pred.system_id, pred.sample_id, pred.corpus)
            if any(names):
                kept_names, self_named = [names[match[i]] for i in keep], ()
                break
    system, systems = _codes(kept_names, corpus_names)
    return Paired(
        names=list(preds),
        ref=[ref.value[i] for i in keep],
        preds=[[p.value[match[i]] for i in keep] for p, match in zip(preds.values(), rows, strict=True)],
        system=system,
        systems=systems,
        corpus=[code[name] for name in corpus_names],
        corpora=corpora,
        coverage=coverage,
        ref_utterances=[ref_corpus.count(name) for name in corpora],
        ref_systems=[sum(c == name and s != "" for c, s in ref_systems) for name in corpora],
        noise=_noise(ref, keep),
        self_named=self_named,
    )


# --- joining ---------------------------------------------------------------------------------------------------


def _keys(scores: Scores, with_corpus: bool, with_system: bool, other: Scores) -> dict[Any, int]:
    """Key of each row -> row, or an error naming both lines of the first duplicate."""
    columns: list[Sequence[str]] = [scores.sample_id]
    if with_system and scores.system_id:
        # a system that repeats its sample_id adds nothing, and the other file may leave it out
        pairs = zip(scores.system_id, scores.sample_id, strict=True)
        columns.insert(0, ["" if system == sample else system for system, sample in pairs])
    if with_corpus and scores.corpus:
        columns.insert(0, scores.corpus)
    keys: Iterable[Any] = zip(*columns, strict=True) if len(columns) > 1 else columns[0]
    table: dict[Any, int] = {}
    for row, key in enumerate(keys):
        first = table.setdefault(key, row)
        if first != row:
            dropped = [n for n, used in (("corpus", with_corpus), ("system_id", with_system)) if not used]
            hint = f"; {other.path} has no {' and no '.join(dropped)} to tell them apart" if dropped else ""
            raise MetricsError(
                f"{scores.path}:{scores.line[row]}: duplicate id {_show(key)}, first seen on line "
                f"{scores.line[first]}{hint}"
            )
    return table


def _match(ref: Scores, pred: Scores, allow_missing: bool) -> tuple[list[int], Coverage]:
    """Row of `pred` for each row of `ref` (-1 where there is none or a score is not finite), and the coverage."""
    with_corpus = bool(ref.corpus and pred.corpus)
    with_system = all(names_systems(s.system_id, s.sample_id) for s in (ref, pred))
    ref_keys = _keys(ref, with_corpus, with_system, pred)
    pred_keys = _keys(pred, with_corpus, with_system, ref)
    match = [pred_keys.get(key, -1) for key in ref_keys]
    missing = [row for row, found in enumerate(match) if found < 0]
    extra = [row for key, row in pred_keys.items() if key not in ref_keys]
    bad_ref = [r for r, p in enumerate(match) if p >= 0 and not math.isfinite(ref.value[r])]
    bad_pred = [p for p in match if p >= 0 and not math.isfinite(pred.value[p])]
    if not allow_missing and (missing or extra or bad_ref or bad_pred):
        problems = []
        if missing:
            problems.append(
                f"{len(missing)} of {len(ref)} ids of {ref.path} are missing, {_first(ref, missing)}"
            )
        if extra:
            problems.append(f"{len(extra)} of {len(pred)} ids are not in {ref.path}, {_first(pred, extra)}")
        for scores, bad in ((ref, bad_ref), (pred, bad_pred)):
            if bad:
                problems.append(f"{len(bad)} rows have no finite {scores.metric}, {_first(scores, bad)}")
        raise MetricsError(
            f"{pred.path} does not cover {ref.path}:\n  "
            + "\n  ".join(problems)
            + "\nComplete the predictions, or score what both have with --allow-missing (allow_missing=True)."
        )
    for row in bad_ref:
        match[row] = -1
    match = [p if p >= 0 and math.isfinite(pred.value[p]) else -1 for p in match]
    non_finite = len(ref) - len(missing) - sum(p >= 0 for p in match)
    return match, Coverage(len(ref), len(pred), len(missing), len(extra), non_finite)


def _codes(system: list[str], corpus: list[str]) -> tuple[list[int], list[tuple[str, str]]]:
    """The distinct (corpus, system) pairs, sorted, and which of them each utterance has, -1 without a system."""
    pairs = list(zip(corpus, system, strict=True))
    systems = sorted({pair for pair in pairs if pair[1]})
    number = {pair: k for k, pair in enumerate(systems)}
    return [number.get(pair, -1) for pair in pairs], systems


def _noise(ref: Scores, keep: list[int]) -> list[float] | None:
    """Variance of each kept reference MOS as a mean of ratings, NaN where unknown; None if it always is."""
    if not ref.votes or not ref.std:
        return None
    noise = [ref.std[i] ** 2 / ref.votes[i] if ref.votes[i] > 0 else math.nan for i in keep]
    return noise if any(map(math.isfinite, noise)) else None


def _first(scores: Scores, rows: list[int]) -> str:
    return f"first {_id(scores, rows[0])} ({scores.path}:{scores.line[rows[0]]})"


def _id(scores: Scores, row: int) -> str:
    parts = [c[row] for c in (scores.corpus, scores.system_id, scores.sample_id) if c]
    return _show(tuple(parts))


def _show(key: Any) -> str:
    return repr("/".join(k for k in key if k) if isinstance(key, tuple) else key)


# --- reading ---------------------------------------------------------------------------------------------------


@dataclass
class _Row:
    line: int
    sample_id: str
    value: float
    system_id: str = ""
    corpus: str = ""
    votes: float = math.nan
    std: float = math.nan
    listener: str = ""  # whose single rating this is


def _name(source: Source) -> str:
    if isinstance(source, str | Path):
        return "<stdin>" if str(source) == "-" else str(source)
    return str(getattr(source, "name", "<file>"))


def _read_bytes(source: Source) -> bytes:
    if not isinstance(source, str | Path):
        data = source.read()
        return data.encode() if isinstance(data, str) else data
    if str(source) == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except FileNotFoundError:
        raise MetricsError(f"{source}: no such file") from None
    except OSError as error:
        raise MetricsError(f"{source}: cannot be read: {error.strerror}") from None


def _parse(data: bytes, path: str, metric: str, role: Role, utt2sys: dict[str, str] | None) -> Scores:
    reader, names = _sniff(data, path), (MOS_COLUMNS[role] if metric == "mos" else (metric,))
    rows = list(reader(data, path, names))
    if not rows:
        raise MetricsError(f"{path}: no rows; expected one score a line")
    if any(row.listener for row in rows):
        rows = _average(rows, path)
    if utt2sys is not None:
        for row in rows:
            row.system_id = utt2sys.get(row.sample_id) or utt2sys.get(_stem(row.sample_id), "")
            if not row.system_id:
                raise MetricsError(f"{path}:{row.line}: sample_id {row.sample_id!r} is not in utt2sys")
    return Scores(
        path=path,
        metric=metric,
        sample_id=[r.sample_id for r in rows],
        system_id=[r.system_id for r in rows] if any(r.system_id for r in rows) else None,
        corpus=[r.corpus for r in rows] if any(r.corpus for r in rows) else None,
        value=[r.value for r in rows],
        line=[r.line for r in rows],
        votes=[r.votes for r in rows] if any(r.votes == r.votes for r in rows) else None,
        std=[r.std for r in rows] if any(r.std == r.std for r in rows) else None,
    )


def _sniff(data: bytes, path: str) -> Callable[[bytes, str, Sequence[str]], Iterator[_Row]]:
    if b"\0" in data[:4096]:
        raise MetricsError(f"{path}: is not a text file; expected JSON Lines, CSV, an answer list or scp")
    first = data.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0]
    if first.startswith(b"{"):
        return _read_jsonl
    if b"," in first or b"\t" in first:
        return _read_csv
    return _read_scp


def _read_jsonl(data: bytes, path: str, names: Sequence[str]) -> Iterator[_Row]:
    import orjson

    seen, others = False, list[str]()  # the metric, in any row; the first row's metrics, for the message
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line or line.isspace():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            row = _json_with_nan(line, path, number)
        if not isinstance(row, dict) or row.get("sample_id") is None:
            raise MetricsError(f"{path}:{number}: no sample_id; expected {EXAMPLE}")
        fields = row.get("metrics", row)
        if not isinstance(fields, dict):
            raise MetricsError(f"{path}:{number}: 'metrics' is not an object; expected {EXAMPLE}")
        others = others or [k for k, v in fields.items() if isinstance(v, float | int)]
        listener = _id_text(row, "listener_id", path, number)
        value = math.nan
        for name in (*RATING_COLUMNS, *names) if listener else names:
            if fields.get(name) is not None:
                value, seen = _number(fields[name], path, number, name), True
                break
        yield _Row(
            number,
            _id_text(row, "sample_id", path, number),
            value,
            _id_text(row, "system_id", path, number),
            _id_text(row, "corpus", path, number),
            _optional(row.get("votes"), path, number, "votes"),
            _optional(row.get("mos_std"), path, number, "mos_std"),
            listener,
        )
    if others and not seen:
        raise _no_metric(path, names, others)


def _id_text(row: dict[str, Any], name: str, path: str, line: int) -> str:
    """An id as text; "" where there is none, which only a sample may not have."""
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None and name != "sample_id":
        return ""
    if not isinstance(value, str) or (not value and name == "sample_id"):
        raise MetricsError(f"{path}:{line}: {name} is {value!r}, expected text or a 64-bit integer")
    return value


def _json_with_nan(line: bytes, path: str, number: int) -> Any:
    """Python's own writers put NaN and Infinity into JSON, which the standard does not know."""
    import json

    try:
        return json.loads(line)
    except ValueError as error:
        raise MetricsError(f"{path}:{number}: not valid JSON ({error}); expected {EXAMPLE}") from None


def _read_csv(data: bytes, path: str, names: Sequence[str]) -> Iterator[_Row]:
    """A table with a header, or a VoiceMOS answer list (two columns, the second a number from the first line on)."""
    import csv

    text = _text(data, path)
    body = text.lstrip("\r\n \t")
    above = text.count("\n", 0, len(text) - len(body))  # blank lines before the first row
    reader = csv.reader(
        io.StringIO(body, newline=""), delimiter="\t" if "\t" in body.split("\n", 1)[0] else ","
    )
    rows = _csv_rows(reader, path, above)
    first, names_above = next(rows)
    header = [name.strip() for name in names_above]
    if len(header) == 2 and _is_number(header[1]):
        for line, fields in itertools.chain([(first, header)], rows):
            if len(fields) != 2 or _is_number(fields[0].split()[-1] if len(fields[0].split()) > 1 else "-"):
                raise MetricsError(f"{path}:{line}: found {','.join(fields)!r}, expected 'utt,score'")
            yield _Row(line, _stem(fields[0]), _number(fields[1], path, line, "score"))
        return
    column = {name: k for k, name in enumerate(header)}
    if len(column) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise MetricsError(f"{path}:{first}: column {twice!r} is there twice")
    key = next((n for n in ID_COLUMNS if n in column), None)
    if key is None:
        raise MetricsError(
            f"{path}:{first}: no id column; found {header}, expected one of {list(ID_COLUMNS)}"
        )
    if "listener_id" in column:
        names = (*RATING_COLUMNS, *names)
    name = next((n for n in names if n in column), None)
    if name is None:
        raise _no_metric(path, names, [n for n in header if n not in ID_COLUMNS])
    for line, fields in rows:
        if len(fields) != len(header):
            raise MetricsError(f"{path}:{line}: found {len(fields)} fields, expected {len(header)}")
        row = {n: fields[k].strip() for n, k in column.items()}
        yield _Row(
            line,
            _id_text(
                {"sample_id": row[key] if key == "sample_id" else _stem(row[key])}, "sample_id", path, line
            ),
            _number(row[name], path, line, name) if row[name] else math.nan,
            row.get("system_id", ""),
            row.get("corpus", ""),
            _optional(row.get("votes") or None, path, line, "votes"),
            _optional(row.get("mos_std") or None, path, line, "mos_std"),
            row.get("listener_id", ""),
        )


def _csv_rows(reader: Any, path: str, above: int) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of each row that is not blank; `reader` is a csv.reader, whose type has no public name."""
    import csv

    try:
        for fields in reader:
            if fields:
                yield above + reader.line_num, fields
    except csv.Error as error:
        raise MetricsError(f"{path}:{above + reader.line_num}: not valid CSV ({error})") from None


def _read_scp(data: bytes, path: str, names: Sequence[str]) -> Iterator[_Row]:
    for number, line in enumerate(_text(data, path).split("\n"), 1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2:
            raise MetricsError(f"{path}:{number}: found {len(fields)} fields, expected 'utt score'")
        yield _Row(number, _stem(fields[0]), _number(fields[1], path, number, "score"))


def _average(rows: list[_Row], path: str) -> list[_Row]:
    """One row a sample from one row a rating: mean, votes, sample standard deviation (NaN for a single vote)."""
    ratings: dict[tuple[str, str, str], dict[str, float]] = {}
    first: dict[tuple[str, str, str], _Row] = {}
    for row in rows:
        key = (row.corpus, row.system_id, row.sample_id)
        first.setdefault(key, row)
        if row.listener in ratings.setdefault(key, {}):
            raise MetricsError(f"{path}:{row.line}: listener {row.listener!r} rated {row.sample_id!r} before")
        ratings[key][row.listener] = row.value
    averaged = []
    for key, by_listener in ratings.items():
        row, values, n = first[key], by_listener.values(), len(by_listener)
        row.value = math.fsum(values) / n
        row.votes = float(n)
        row.std = math.sqrt(math.fsum((v - row.value) ** 2 for v in values) / (n - 1)) if n > 1 else math.nan
        averaged.append(row)
    return averaged


EXAMPLE = '{"sample_id": "u1", "system_id": "s1", "metrics": {"mos": 3.5}}'


def _no_metric(path: str, names: Sequence[str], found: list[str]) -> MetricsError:
    return MetricsError(
        f"{path}: no metric {names[0]!r}; found {', '.join(found) or 'none'} "
        "(choose with --ref-metric or --pred-metric)"
    )


def _number(value: Any, path: str, line: int, name: str) -> float:
    """A finite number of plausible size, NaN or infinity (which are dealt with as missing scores)."""
    number = math.nan
    odd = isinstance(value, bool) or not isinstance(value, int | float | str)
    odd = odd or (isinstance(value, str) and ("_" in value or not value.isascii()))
    try:
        number = math.nan if odd else float(value)
    except (ValueError, OverflowError):
        odd = True
    if odd or LARGEST < abs(number) < math.inf:
        shown = repr(value) if len(repr(value)) < 40 else repr(value)[:36] + "..."
        raise MetricsError(f"{path}:{line}: {name} is {shown}, expected a number")
    return number


def _optional(value: Any, path: str, line: int, name: str) -> float:
    return math.nan if value is None else _number(value, path, line, name)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _text(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MetricsError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None


def _stem(name: str) -> str:
    """Sample id from the path of an audio file: no folder, no suffix. A name without such a suffix stays whole.

    >>> _stem("wav/sys1-utt1.WAV"), _stem("sys1/utt1"), _stem("v1.2")
    ('sys1-utt1', 'sys1/utt1', 'v1.2')
    """
    name = name.strip()
    for suffix in AUDIO_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)].replace("\\", "/").rsplit("/", 1)[-1]
    return name
