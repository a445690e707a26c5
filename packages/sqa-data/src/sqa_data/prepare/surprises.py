"""An assumed layout stops at its first surprise: columns that nobody knew of or that are missing, other counts.

`Corpus.columns` names the columns of each label file, read or not; "name?" may be missing. They are the header of a
table, the columns of a parquet file, the keys of JSON lines; of JSON all keys on the way, as "clips.*.mos", and of XML
"element.attribute". "*" stands for any text.
"""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sqa_data.corpus import Corpus
from sqa_data.errors import DataError
from sqa_data.lines import Wrong, open_lines, parse_object
from sqa_data.prepare.writer import SplitCount, count_notes
from sqa_data.safe_xml import read_xml
from sqa_data.sources.parquet import column_names, parts
from sqa_data.tables import read_header, read_json


def require_columns(corpus: Corpus, root: Path) -> None:
    """DataError where the label files of an assumed layout have other columns."""
    _require_assumed(corpus, column_notes(corpus, root))


def require_counts(corpus: Corpus, counts: dict[str, SplitCount]) -> None:
    """DataError where a corpus of assumed layout has other counts than published."""
    _require_assumed(corpus, count_notes(corpus, counts))


def _require_assumed(corpus: Corpus, surprises: Iterable[str]) -> None:
    if corpus.assumed and (surprise := next(iter(surprises), None)):
        raise DataError(
            f"{surprise}. The layout of {corpus.name} is assumed after {corpus.layout}: look whether the labels "
            "mean what `sqa-cli data show` and the manifest say, and please report what you found; --accept-layout "
            "prepares them all the same"
        )


def column_notes(corpus: Corpus, root: Path) -> Iterator[str]:
    """A sentence for each label file with columns that are not known, or without some that are."""
    parquet = corpus.hub and corpus.hub.splits
    for name, columns in corpus.columns.items():
        known = {column.rstrip("?").lower(): not column.endswith("?") for column in columns}
        for path in parts(root, name) if parquet else sorted(root.glob(name)):
            found = dict.fromkeys(column.strip() for column in _columns(path))
            told = _told(found)
            if unknown := [c for c in found if not any(fnmatchcase(c.lower(), k) for k in known)]:
                yield f"{path}: unknown columns {_told(unknown)}; found {told}"
            # an empty file is no surprise but no rows
            for column in [k for k, needed in known.items() if found and needed]:
                if not any(fnmatchcase(c.lower(), column) for c in found):
                    yield f"{path}: no column {column!r}; found {told}"


def _told(columns: Iterable[str]) -> str:
    """The columns, and of keys below others the last."""
    return ", ".join(dict.fromkeys(column.rpartition(".")[2] for column in columns))


def _columns(path: Path) -> Iterable[str]:
    if path.suffix == ".parquet":
        return column_names(path)
    if path.suffix == ".jsonl":
        return _keys_of_lines(path)
    if path.suffix == ".json":
        return _keys(read_json(path))
    if path.suffix == ".xml":
        return (f"{element.tag}.{name}" for element in read_xml(path).iter() for name in element.attrib)
    return read_header(path)


def _keys_of_lines(path: Path) -> Iterator[str]:
    for line, content in open_lines(path):
        try:
            yield from parse_object(content)
        except Wrong as error:
            raise DataError(f"{path}:{line}: {error}") from None


def _keys(value: Any, above: str = "") -> Iterator[str]:
    for key, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, dict):
            yield from _keys(inner, f"{above}{key}.")
        else:
            yield f"{above}{key}"
