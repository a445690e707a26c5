"""A share of the work, `I/N`: several processes or machines divide a list, each takes every N-th entry from I on."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqa_data.errors import DataError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Share:
    """The `index`-th of `count` shares, counted from 1; by default all of the work."""

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise DataError(f"shard is {self}; expected I/N with I from 1 to N, such as 2/8")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> "Share":
        """A share from "I/N"; DataError for anything else.

        >>> Share.parse("2/8")
        Share(index=2, count=8)
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
        if found is None:
            raise DataError(f"shard is {text!r}; expected I/N with I from 1 to N, such as 2/8")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of_environment(cls) -> "Share":
        """The share of this process under torchrun, which sets RANK and WORLD_SIZE; elsewhere all of the work."""
        rank, size = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
        if not rank or not size:
            return cls()
        try:
            return cls(int(rank) + 1, int(size))
        except (ValueError, DataError):
            raise DataError(
                f"the environment has RANK={rank} and WORLD_SIZE={size}; expected 0 <= RANK < WORLD_SIZE, "
                "as torchrun sets them; unset both to do all of the work"
            ) from None

    def of(self, entries: Sequence[T]) -> Sequence[T]:
        """Our share of a list.

        >>> Share(2, 3).of("abcdefg")
        'be'
        """
        return entries[self.index - 1 :: self.count]

    def path(self, out: Path) -> Path:
        """Where our results go: `out` itself if all of the work is ours, else a part beside it.

        >>> Share(2, 8).path(Path("results.jsonl")).name
        'results.jsonl.2-of-8'
        """
        return out if self.count == 1 else out.with_name(f"{out.name}.{self.index}-of-{self.count}")

    def together(self) -> list["Share"]:
        """All shares of the same work, ours among them."""
        return [Share(index, self.count) for index in range(1, self.count + 1)]
