"""Tables from the content of one score file, in whichever of four formats it is: told apart by content, never by name.

- JSON Lines: `{"sample_id": "u1", "system_id": "s1", "corpus": "bvcc", "metrics": {"mos": 3.5}}`, where `system_id`
  and `corpus` are optional, as are `votes` and `mos_std` (number and sample standard deviation of the ratings);
- CSV with a header, parted by comma, tab or semicolon; what its columns may be called: `names`;
- VoiceMOS answer list: `utt,score`, no header;
- Kaldi scp: `utt score`, no header, blank-separated.
"""

import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from operator import methodcaller
from typing import Any

from sqa_metrics.errors import MetricsError
from sqa_metrics.rows.table import EXAMPLE, Table, of_columns, of_rows

BOM = b"\xef\xbb\xbf"
ANSWER = ("utt", "score")  # the columns of a list without a header


def table_of(data: bytes, path: str) -> Table:
    """The table that a file holds; `path` is for messages. MetricsError naming file and line."""
    if b"\0" in data[:4096]:
        raise MetricsError(
            f"{path}: is not a text file in UTF-8; expected JSON Lines, CSV, an answer list or scp"
        )
    first = data.removeprefix(BOM).lstrip().split(b"\n", 1)[0]
    if first.startswith(b"["):
        raise MetricsError(
            f"{path}: is a JSON array; expected JSON Lines, one object a line. `jq -c '.[]' {path}` prints it so"
        )
    if first.startswith(b"{"):
        table = _jsonl(data, path)
    elif any(mark in first for mark in (b",", b"\t", b";")):
        table = _csv(data, path)
    else:
        table = _answers(_blank_separated(data, path), path, " ")
    if not len(table):
        raise MetricsError(f"{path}: no rows; expected one score a line")
    return table


def text_of(data: bytes, path: str) -> str:
    """The content as text, without a byte order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MetricsError(
            f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None


# --- JSON Lines --------------------------------------------------------------------------------------------------


def _jsonl(data: bytes, path: str) -> Table:
    import orjson

    rows, numbers = [], []
    for number, line in enumerate(data.removeprefix(BOM).split(b"\n"), 1):
        if not line or line.isspace():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            row = _json_with_nan(line, path, number)
        rows.append(row)
        numbers.append(number)
    return of_rows(path, rows, numbers)


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


# --- CSV, answer lists and scp -----------------------------------------------------------------------------------


def _csv(data: bytes, path: str) -> Table:
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
        return _answers(itertools.chain([(first, header)], rows), path, delimiter)
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise MetricsError(f"{path}:{first}: column {twice!r} is there twice")
    plain = [] if delimiter == ";" else _plain_columns(body, delimiter, len(header))
    lines, columns = (
        (range(first + 1, first + 1 + len(plain[0])), plain) if plain else _columns(rows, header, path)
    )
    stripped = (list(map(str.strip, column)) for column in columns)
    filled = ([field or None for field in column] if "" in column else column for column in stripped)
    return of_columns(path, dict(zip(header, filled, strict=True)), lines)


def _columns(
    rows: Iterator[tuple[int, list[str]]], header: list[str], path: str
) -> tuple[Sequence[int], Iterable[Sequence[str]]]:
    """Line of each row, and the columns below the header."""
    lines, table = [], []
    for line, fields in rows:
        if len(fields) != len(header):
            raise MetricsError(f"{path}:{line}: found {len(fields)} fields, expected {len(header)}")
        lines.append(line)
        table.append(fields)
    return lines, zip(*table, strict=True) if table else ((),) * len(header)


def _plain_columns(body: str, delimiter: str, width: int) -> list[list[str]]:
    """The columns below the header of a table without quotes, blank lines and ragged rows; none of another.

    Three times quicker than row by row.
    """
    body = body.replace("\r\n", "\n").rstrip("\n")
    lines = body.split("\n")
    counts = set(map(methodcaller("count", delimiter), lines))
    if '"' in body or "\r" in body or "" in lines or counts != {width - 1}:
        return []
    fields = delimiter.join(lines).split(delimiter)
    return [fields[k + width :: width] for k in range(width)]


def _delimiter(line: str) -> str:
    if "\t" in line:
        return "\t"
    return ";" if ";" in line and line.count(";") >= line.count(",") else ","


def _with_point(field: str) -> str:
    changed = field.replace(",", ".", 1)
    return changed if changed != field and _is_number(changed) else field


def _csv_rows(reader: Any, path: str, above: int) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of each row that is not blank; `reader` is a csv.reader, whose type has no public name."""
    import csv

    try:
        for fields in reader:
            if fields:
                yield above + reader.line_num, fields
    except csv.Error as error:
        raise MetricsError(f"{path}:{above + reader.line_num}: not valid CSV ({error})") from None


def _blank_separated(data: bytes, path: str) -> Iterator[tuple[int, list[str]]]:
    # Bytes are parted at ASCII blanks only: an id may hold a no-break space.
    for number, line in enumerate(text_of(data, path).encode().split(b"\n"), 1):
        fields = line.decode().split() if line.isascii() else [f.decode() for f in line.split()]
        if fields and len(fields) != 2:
            raise MetricsError(
                f"{path}:{number}: found {len(fields)} fields, expected 'utt score' (or JSON Lines, or CSV)"
            )
        if fields:
            yield number, fields


def _answers(rows: Iterator[tuple[int, list[str]]], path: str, delimiter: str) -> Table:
    """A list of `utt score` without a header."""
    lines, ids, scores = [], [], []
    for line, fields in rows:
        words = fields[0].split()
        if len(fields) != 2 or (len(words) > 1 and _is_number(words[-1])):
            raise MetricsError(f"{path}:{line}: found {delimiter.join(fields)!r}, expected 'utt,score'")
        lines.append(line)
        ids.append(fields[0].strip() or None)
        # an empty score is no number
        scores.append(fields[1])
    return of_columns(path, dict(zip(ANSWER, (ids, scores), strict=True)), lines, header=False)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
