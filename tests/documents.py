"""The blocks of commands in the README and in docs/, and what they print."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- (.+?) -->\n)?```(sh|python|text)\n(.*?)```", re.S)


@dataclass(frozen=True)
class Block:
    """A block of commands and what it is to print."""

    page: str
    note: str
    language: str
    body: str
    printed: str | None = None
    tolerance: float = 0.0

    def __str__(self) -> str:
        first = self.body.split("\n")[0][:60]
        return first if self.page == "README.md" else f"{self.page}: {first}"

    def commands(self) -> list[str]:
        """Its lines, those that go on in the next one joined."""
        return self.body.replace("\\\n", " ").splitlines()


def read_blocks(page: Path) -> list[Block]:
    """The `sh` and `python` blocks of a page; a `text` block is what the block above it prints."""
    found: list[Block] = []
    for note, language, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "text":
            before = found.pop()
            within = float(note.removeprefix("within ")) if note else 0.0
            found.append(Block(page.name, before.note, before.language, before.body, body, within))
        else:
            found.append(Block(page.name, note, language, body))
    return found
