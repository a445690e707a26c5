"""Warnings about clips, in one line for each thing: nobody reads 20,000 lines about 20,000 short clips."""

from collections.abc import Sequence
from dataclasses import dataclass, field

NAMES = 3  # of clips that a line names beside the first one


@dataclass
class Warned:
    """What clips were warned of, by code; keeps the first warning of each and a few names, however many there are.

    >>> warned = Warned()
    >>> for clip in ("a", "b", "c"):
    ...     warned.add(clip, ["short: 0.2 s", *["dc: mean is 0.1"] * (clip == "c")])
    >>> warned.lines("warning: ")
    ['a: warning: short: 0.2 s (short in 2 more: b, c)', 'c: warning: dc: mean is 0.1']
    """

    first: dict[str, tuple[str, str]] = field(default_factory=dict)  # code -> clip, text
    more: dict[str, int] = field(default_factory=dict)  # code -> clips after the first
    names: dict[str, list[str]] = field(default_factory=dict)  # code -> some of them

    def add(self, clip: str, texts: Sequence[str]) -> None:
        """Note the warnings of a clip, each a "code: what was found"."""
        for text in texts:
            code = text.partition(":")[0]
            if code not in self.first:
                self.first[code], self.more[code], self.names[code] = (clip, text), 0, []
                continue
            self.more[code] += 1
            if len(self.names[code]) < NAMES:
                self.names[code].append(clip)

    def lines(self, kind: str = "") -> list[str]:
        """A line for each code: the first clip and its text, how many more there are, and some names of them."""
        told = []
        for code, (clip, text) in self.first.items():
            line = f"{clip}: {kind}{text}" if clip else kind + text
            if more := self.more[code]:
                others = ", ".join(self.names[code]) + (", ..." if more > NAMES else "")
                line += f" ({code} in {more:,} more: {others})"
            told.append(line)
        return told
