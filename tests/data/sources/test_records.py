"""What is here of a corpus: nothing is said to be whole before it is."""

from pathlib import Path

import pytest
from sqa_data import get_corpus
from sqa_data.sources.answers import FileRecord
from sqa_data.sources.records import remember, state


def put(folder: Path, name: str, *, brought: bool = True) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"x")
    if brought:
        remember(folder, name, FileRecord(url="https://example.org", size=1, sha256="0" * 64))


def test_a_data_set_is_here_when_nothing_of_it_is_on_its_way(tmp_path: Path) -> None:
    corpus, folder = get_corpus("urgent2025-sqa"), tmp_path / "urgent2025-sqa"
    assert state(corpus, tmp_path) == ""
    put(folder, "data/validation-00000-of-00002.parquet")
    put(folder, "data/validation-00001-of-00002.parquet.part", brought=False)
    assert state(corpus, tmp_path) == "part"
    (folder / "data/validation-00001-of-00002.parquet.part").unlink()
    assert state(corpus, tmp_path) == "downloaded"


@pytest.mark.parametrize("name", ["speecheval", "tencent"])
def test_files_beside_a_data_set_are_not_the_data_set(name: str, tmp_path: Path) -> None:
    corpus = get_corpus(name)
    for archive in corpus.files:
        put(tmp_path / name, archive.name)
    assert state(corpus, tmp_path) == ("part" if corpus.hub else "downloaded")
