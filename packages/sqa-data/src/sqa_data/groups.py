"""What clips of a corpus have in common: who talks, and the recording that they were made from.

Rows say it by keys that `Utterance` has no field for: `talker` and `ladder` (of `sqa-cli data degrade`),
`reference_path` (of that and of `data annotate`), `reference_id` (of UrgentMOS), and the names that others give to
these. Of some corpora the names of clips say it (`Corpus.reference`).
"""

from collections.abc import Callable, Sequence
from functools import cache

from sqa_data.corpus import list_corpora
from sqa_data.manifest import Utterance

TALKER = ("talker", "speaker_id", "speaker")
# each rung of a ladder has a copy of its reference
REFERENCE = ("ladder", "reference_id", "reference_path", "reference", "source_id")


def talker_of(row: Utterance) -> str | None:
    """Who talks in a clip; None where its row does not say.

    >>> talker_of(Utterance("a.wav", "a", 1.0, {}, extra={"speaker_id": 7}))
    '7'
    """
    return _first(row, TALKER)


def reference_of(row: Utterance) -> str | None:
    """The clean recording, or the text, that a clip was made from; None where neither its row nor its corpus says.

    >>> reference_of(Utterance("a.wav", "sys1:u7", 1.0, {}, extra={"reference_id": "u7"}))
    'u7'
    >>> reference_of(Utterance("a.wav", "novel_2007_0098_015.wav", 1.0, {}, corpus="somos"))
    'novel_2007_0098'
    """
    told = _first(row, REFERENCE)
    rule = None if told else _rules().get(row.corpus)
    return rule(row.sample_id, row.system_id) if rule else told


@cache
def _rules() -> dict[str | None, Callable[[str, str | None], str]]:
    return {corpus.name: corpus.reference for corpus in list_corpora() if corpus.reference}


def _first(row: Utterance, keys: Sequence[str]) -> str | None:
    for key in keys:
        value = row.extra.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return None
