"""What ODAQ and its repetitions share: one XML file a listener, over the same clips."""

from collections.abc import Callable, Iterator
from pathlib import Path

from sqa_data.corpus import Licence, Rating
from sqa_data.errors import DataError
from sqa_data.safe_xml import attribute, read_xml
from sqa_data.tables import below

# of the results of one listener; what is said of test and listener differs, and is not read
COLUMNS = (
    *("info.subjectName", "info.*?", "trial.trialName", "trial.trialSeconds?", "trial.referencePlays?"),
    *("testFile.fileName", "testFile.score", "testFile.plays?"),
)
AUDIO = "ODAQ/ODAQ_listening_test"
LICENCE = Licence(
    "CC BY; some CC BY-NC",
    "https://zenodo.org/records/10405774",
    ask=True,
    note="a table in the archive states the licence of each item; some forbid commercial use",
)


def votes(pattern: str) -> Callable[[Path], Iterator[Rating]]:
    """The `parse` of a corpus whose results are the files of a pattern below its folder."""

    def parse(root: Path) -> Iterator[Rating]:
        for path in sorted(root.glob(pattern)):
            yield from _votes_of_one(path)

    return parse


def _votes_of_one(path: Path) -> Iterator[Rating]:
    """<MUSHRA><info subjectName/>…<trial trialName><testFile fileName score/>…; the hidden reference is a file too."""
    result = read_xml(path)
    info = result.find("info")
    if info is None:
        raise DataError(f"{path}: no <info>; expected the results of one listener")
    listener = attribute(info, "subjectName", path)
    for trial in result.iter("trial"):
        name = attribute(trial, "trialName", path)
        for test in trial.iter("testFile"):
            file = attribute(test, "fileName", path)
            score = _score(attribute(test, "score", path), path, f"{name}/{file}")
            condition = file.removesuffix(".wav")
            # the first part of a trial's name is the method, the rest the item; conditions are named anew in each
            system_id = f"{name.split('_')[0]}_{condition}"
            audio = f"{AUDIO}/{below(f'{name}/{file}', path, 1)}"
            yield Rating("test", audio, f"{name}_{condition}", system_id, listener, score)


def _score(text: str, path: Path, clip: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = -1
    if not 0 <= score <= 100:
        raise DataError(f"{path}: the score of {clip} is {text!r}; expected a number in 0..100")
    return score
