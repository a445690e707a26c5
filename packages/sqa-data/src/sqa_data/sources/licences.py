"""Licences that ask for consent: what a user accepted is remembered in RAW/NAME/licence.json."""

import json
from collections.abc import Iterable
from pathlib import Path

from sqa_data.atomic import atomic_write
from sqa_data.corpus import Corpus
from sqa_data.errors import DataError
from sqa_data.sources.records import read_json


def licences_to_accept(corpora: Iterable[Corpus], raw: str | Path) -> list[Corpus]:
    """Those whose licence asks for consent that has not been given for this `raw` yet."""
    return [
        corpus
        for corpus in corpora
        if corpus.licence.ask and read_json(_licence_file(corpus, raw)) != _accepted(corpus)
    ]


def require_licences(corpora: Iterable[Corpus], raw: str | Path, licence_ok: Iterable[str]) -> None:
    """Remember what is accepted; DataError that shows what is not yet."""
    accepted, still_open = set(licence_ok), []
    for corpus in licences_to_accept(corpora, raw):
        if accepted & {corpus.name, "all"}:
            with atomic_write(_licence_file(corpus, raw)) as out:
                out.write(json.dumps(_accepted(corpus)).encode())
        else:
            still_open.append(corpus)
    if still_open:
        lines = [f"  {c.name}: {c.licence.name}, {c.licence.note} ({c.licence.url})" for c in still_open]
        names = " ".join(f"--licence-ok {corpus.name}" for corpus in still_open)
        raise DataError(
            "these licences must be accepted once:\n" + "\n".join(lines) + f"\nTo accept: {names}"
        )


def _licence_file(corpus: Corpus, raw: str | Path) -> Path:
    return Path(raw) / corpus.name / "licence.json"


def _accepted(corpus: Corpus) -> dict[str, str]:
    return {"accepted": corpus.licence.name, "url": corpus.licence.url}
