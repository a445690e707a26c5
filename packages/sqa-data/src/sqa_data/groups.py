"""What clips of a corpus have in common: who talks, and the recording that they were made from.

Rows say it by keys that `Utterance` has no field for: `talker` (of `sqa-cli data degrade`), `reference_path` (of that
and of `data annotate`), `reference_id` (of UrgentMOS), and the names that others give to these.
"""

from collections.abc import Sequence

from sqa_data.manifest import Utterance

TALKER = ("talker", "speaker_id", "speaker")
REFERENCE = ("reference_id", "reference_path", "reference", "source_id")


def talker_of(row: Utterance) -> str | None:
    """Who talks in a clip; None where its row does not say.

    >>> talker_of(Utterance("a.wav", "a", 1.0, {}, extra={"speaker_id": 7}))
    '7'
    """
    return _first(row, TALKER)


def reference_of(row: Utterance) -> str | None:
    """The clean recording that a clip was made from; None where its row does not say.

    >>> reference_of(Utterance("a.wav", "sys1:u7", 1.0, {}, extra={"reference_id": "u7"}))
    'u7'
    """
    return _first(row, REFERENCE)


def _first(row: Utterance, keys: Sequence[str]) -> str | None:
    for key in keys:
        value = row.extra.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return None
