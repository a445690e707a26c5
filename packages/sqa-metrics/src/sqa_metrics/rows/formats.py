"""Rows of one score file, in whichever of four formats it is: told apart by content, never by name.

- JSON Lines: `{"sample_id": "u1", "system_id": "s1", "corpus": "bvcc", "metrics": {"mos": 3.5}}`, where `system_id`
  and `corpus` are optional, as are `votes` and `mos_std` (number and sample standard deviation of the ratings);
- CSV with a header, parted by comma, tab or semicolon (`sample_id` or `utt` or `wav_path`, optional `system_id`,
  `corpus`, one column a metric; SHEET's `avg_score`, `score` and `answer` are understood as `mos`);
- VoiceMOS answer list: `utt,score`, no header;
- Kaldi scp: `utt score`, no header, blank-separated.
"""

import io
import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqa_metrics.errors import MetricsError
from sqa_metrics.rows.ids import clip_id, listed_id

LARGEST = 1e100  # a larger score is a broken one, and its square would leave the range of a float
BOM = b"\xef\xbb\xbf"
EXAMPLE = '{"sample_id": "u1", "system_id": "s1", "metrics": {"mos": 3.5}}'

RATING_COLUMNS = ("rating", "score")  # the MOS in a row of one listener, before the names of MOS_COLUMNS
JSON_IDS = ("sample_id", "uid")
ID_COLUMNS = ("sample_id", "utt", "utt_id", "uid", "wav_path", "wav", "path")
PATH_COLUMNS = ("wav_path", "wav", "path")
LISTENER_COLUMNS = (
    *("listener_id", "listener", "listener_name", "worker_id", "worker", "rater_id", "rater"),
    *("annotator_id", "annotator"),
)
LISTENERS = frozenset(LISTENER_COLUMNS)


@dataclass(eq=False, repr=False)
class Row:
    """One row: a score, or the rating of one listener."""

    line: int
    sample_id: str
    value: float  # NaN: none, or not finite
    system_id: str = ""
    corpus: str = ""
    votes: float = math.nan
    std: float = math.nan
    listener: str = ""  # whose single rating this is
    path: str = ""  # what the sample_id was made from, if that was a path


Reader = Callable[[bytes, str, Sequence[str]], Iterator[Row]]


def reader_of(data: bytes, path: str) -> Reader:
    """The reader of this format: (content, path, names of the wanted metric in order of preference) -> rows."""
    if b"\0" in data[:4096]:
        raise MetricsError(f"{path}: is not a text file; expected JSON Lines, CSV, an answer list or scp")
    first = data.removeprefix(BOM).lstrip().split(b"\n", 1)[0]
    if first.startswith(b"{"):
        return _read_jsonl
    if first.startswith(b"["):
        raise MetricsError(
            f"{path}: is a JSON array; expected JSON Lines, one object a line. `jq -c '.[]' {path}` prints it so"
        )
    if any(mark in first for mark in (b",", b"\t", b";")):
        return _read_csv
    return _read_scp


def text_of(data: bytes, path: str) -> str:
    """The content as text, without a byte order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MetricsError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None


# --- JSON Lines --------------------------------------------------------------------------------------------------


def _read_jsonl(data: bytes, path: str, names: Sequence[str]) -> Iterator[Row]:
    import orjson

    seen, others = False, list[str]()  # the metric, in any row; the first row's metrics, for the message
    for number, line in enumerate(data.removeprefix(BOM).split(b"\n"), 1):
        if not line or line.isspace():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            row = _json_with_nan(line, path, number)
        key = _json_id(row)
        if not key:
            raise MetricsError(f"{path}:{number}: no sample_id; expected {EXAMPLE}")
        # null says that nothing was measured
        fields = {} if row.get("metrics", row) is None else row.get("metrics", row)
        if not isinstance(fields, dict):
            raise MetricsError(f"{path}:{number}: 'metrics' is not an object; expected {EXAMPLE}")
        others = others or [k for k, v in fields.items() if isinstance(v, float | int)]
        listener = "" if LISTENERS.isdisjoint(row) else _listener(row, path, number)
        value = math.nan
        for name in (*RATING_COLUMNS, *names) if listener else names:
            if fields.get(name) is not None:
                value, seen = _number(fields[name], path, number, name), True
                break
        yield Row(
            number,
            _id_text(row, key, path, number),
            value,
            _id_text(row, "system_id", path, number),
            _id_text(row, "corpus", path, number),
            _optional(row.get("votes"), path, number, "votes"),
            _optional(row.get("mos_std"), path, number, "mos_std"),
            listener,
        )
    if others and not seen:
        raise _no_metric(path, names, others)


def _json_with_nan(line: bytes, path: str, number: int) -> Any:
    """Python's own writers put NaN and Infinity into JSON, which the standard does not know."""
    import json

    try:
        row = json.loads(line)
        if b"\\ud" in line.lower():
            # U+DC80..U+DCFF are bytes of a file's name that is not UTF-8; other lone surrogates stand for nothing
            json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogateescape")
        return row
    except (ValueError, RecursionError) as error:
        raise MetricsError(f"{path}:{number}: not valid JSON ({error}); expected {EXAMPLE}") from None


def _json_id(row: Any) -> str:
    """The key of a row's id; "" if it has none."""
    if isinstance(row, dict):
        for key in JSON_IDS:
            if row.get(key) not in (None, ""):
                return key
    return ""


def _listener(row: dict[str, Any], path: str, line: int) -> str:
    return next((text for key in LISTENER_COLUMNS if (text := _id_text(row, key, path, line))), "")


def _id_text(row: dict[str, Any], name: str, path: str, line: int) -> str:
    """An id as text; "" where there is none."""
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MetricsError(f"{path}:{line}: {name} is {value!r}, expected text or a 64-bit integer")
    return value


# --- CSV, answer lists and scp -----------------------------------------------------------------------------------


def _read_csv(data: bytes, path: str, names: Sequence[str]) -> Iterator[Row]:
    """A table with a header, or a VoiceMOS answer list (two columns, the second a number from the first line on)."""
    import csv

    text = text_of(data, path)
    body = text.lstrip("\r\n \t")
    above = text.count("\n", 0, len(text) - len(body))  # blank lines before the first row
    delimiter = _delimiter(body.split("\n", 1)[0])
    rows = _csv_rows(csv.reader(io.StringIO(body, newline=""), delimiter=delimiter), path, above)
    if delimiter == ";":
        # such tables come from countries that write 3,5
        rows = ((line, [_with_point(field) for field in fields]) for line, fields in rows)
    first, names_above = next(rows)
    header = [name.strip() for name in names_above]
    if len(header) == 2 and _is_number(header[1]):
        yield from _answers(itertools.chain([(first, header)], rows), path, delimiter)
    else:
        yield from _table(rows, header, first, path, names)


def _delimiter(line: str) -> str:
    if "\t" in line:
        return "\t"
    return ";" if ";" in line and line.count(";") >= line.count(",") else ","


def _with_point(field: str) -> str:
    changed = field.replace(",", ".", 1)
    return changed if changed != field and _is_number(changed) else field


def _answers(rows: Iterator[tuple[int, list[str]]], path: str, delimiter: str) -> Iterator[Row]:
    for line, fields in rows:
        if len(fields) != 2 or _is_number(fields[0].split()[-1] if len(fields[0].split()) > 1 else "-"):
            raise MetricsError(f"{path}:{line}: found {delimiter.join(fields)!r}, expected 'utt,score'")
        yield _listed(line, fields[0], _number(fields[1], path, line, "score"))


def _table(
    rows: Iterator[tuple[int, list[str]]], header: list[str], first: int, path: str, names: Sequence[str]
) -> Iterator[Row]:
    column = {name: k for k, name in enumerate(header)}
    if len(column) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise MetricsError(f"{path}:{first}: column {twice!r} is there twice")
    key = next((n for n in ID_COLUMNS if n in column), None)
    if key is None:
        raise MetricsError(
            f"{path}:{first}: no id column; found {header}, expected one of {list(ID_COLUMNS)}"
        )
    listener = next((n for n in LISTENER_COLUMNS if n in column), "")
    if listener:
        names = (*RATING_COLUMNS, *names)
    name = next((n for n in names if n in column), None)
    if name is None:
        raise _no_metric(path, names, [n for n in header if n not in ID_COLUMNS])
    for line, fields in rows:
        if len(fields) != len(header):
            raise MetricsError(f"{path}:{line}: found {len(fields)} fields, expected {len(header)}")
        row = {n: fields[k].strip() for n, k in column.items()}
        text = row[key]
        if not text:
            raise MetricsError(f"{path}:{line}: {key} is empty, expected an id")
        yield Row(
            line,
            text if key in JSON_IDS else clip_id(text) if key in PATH_COLUMNS else listed_id(text),
            _number(row[name], path, line, name) if row[name] else math.nan,
            row.get("system_id", ""),
            row.get("corpus", ""),
            _optional(row.get("votes") or None, path, line, "votes"),
            _optional(row.get("mos_std") or None, path, line, "mos_std"),
            row.get(listener, ""),
            "" if key in JSON_IDS else text,
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


def _read_scp(data: bytes, path: str, names: Sequence[str]) -> Iterator[Row]:
    # Bytes are parted at ASCII blanks only: an id may hold a no-break space.
    for number, line in enumerate(text_of(data, path).encode().split(b"\n"), 1):
        fields = line.decode().split() if line.isascii() else [f.decode() for f in line.split()]
        if not fields:
            continue
        if len(fields) != 2:
            raise MetricsError(
                f"{path}:{number}: found {len(fields)} fields, expected 'utt score' (or JSON Lines, or CSV)"
            )
        yield _listed(number, fields[0], _number(fields[1], path, number, "score"))


def _listed(line: int, text: str, value: float) -> Row:
    return Row(line, listed_id(text), value, path=text.strip())


# --- single values -----------------------------------------------------------------------------------------------


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
    except ValueError:
        odd = True
    except OverflowError:
        number = sys.float_info.max
    if odd or LARGEST < abs(number) < math.inf:
        shown = repr(value) if len(repr(value)) < 40 else repr(value)[:36] + "..."
        limit = "" if odd else f" of at most {LARGEST:g} in size"
        raise MetricsError(f"{path}:{line}: {name} is {shown}, expected a number{limit}")
    return number


def _optional(value: Any, path: str, line: int, name: str) -> float:
    return math.nan if value is None else _number(value, path, line, name)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
