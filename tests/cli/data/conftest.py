"""What the tests of `sqa-cli data` share: a server of small corpora, and a manifest made from one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import run
from loopback import Loopback, serve
from tiny_corpora import build


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with serve() as world:
        monkeypatch.setenv("HF_ENDPOINT", world.url)
        yield world


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    build("chime-7-udase-eval", tmp_path / "raw" / "chime-7-udase-eval")
    run("data", "prepare", "chime-7-udase-eval", "--raw", tmp_path / "raw", "--out", tmp_path / "data")
    return tmp_path / "data" / "chime-7-udase-eval" / "test" / "data.jsonl"
