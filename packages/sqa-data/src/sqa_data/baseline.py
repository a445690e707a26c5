"""The ids that the scripts of the URGENT 2026 baseline give to clips and systems, so that its score files join ours.

All its tables go through `pandas.read_csv`, which makes a number of a column of whole numbers: `000000` became `0`.
A corpus without systems has the clip's id for each. What else differs is one rule in the corpus's own file.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)  # what fits into 64 bits


@dataclass(frozen=True, slots=True)
class BaselineIds:
    """How the baseline names the clips and systems of one corpus, as functions of our names.

    What is given a name of the baseline already gives it back.

    >>> ids = BaselineIds(("sys1-utt2", "sys1"), sample=after_dash)
    >>> ids.of("sys1-utt2", "sys1"), ids.of("007", None)
    (('utt2', 'sys1'), ('7', '7'))
    """

    example: tuple[str, str | None]  # sample_id and system_id of a clip as they are here
    sample: Callable[[str], str] = str
    system: Callable[[str], str] = str
    # the same for a copy of the corpus in this folder, where it hangs on how the label files are written
    system_in: Callable[[Path], Callable[[str], str]] | None = None

    def read_in(self, root: Path) -> "BaselineIds":
        """The rule for a copy of the corpus."""
        return replace(self, system=self.system_in(root)) if self.system_in else self

    def of_sample(self, sample_id: str) -> str:
        """The baseline's sample_id."""
        return as_number(self.sample(sample_id))

    def of(self, sample_id: str, system_id: str | None) -> tuple[str, str]:
        """The baseline's sample_id and system_id."""
        sample = self.of_sample(sample_id)
        return sample, sample if system_id is None else as_number(self.system(system_id))


def as_number(text: str) -> str:
    """A whole number as pandas writes it; any other text as it is.

    >>> as_number("015"), as_number("-00"), as_number("0a"), as_number("1.0")
    ('15', '0', '0a', '1.0')
    """
    return str(int(text)) if WHOLE.fullmatch(text) else text


def after_dash(name: str) -> str:
    """What follows the first dash, or all where there is none.

    >>> after_dash("sys64e2f-utt9c183cd"), after_dash("utt9c183cd")
    ('utt9c183cd', 'utt9c183cd')
    """
    return name.partition("-")[2] or name
