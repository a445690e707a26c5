"""What a `prepare` remembers: sources that changed, files that are no longer made, and what a kill left behind."""

from pathlib import Path

from sqa_data import get_corpus
from sqa_data.prepare import prepare
from sqa_data.prepare.records import Record, fingerprint, finish, source_notes, write_next
from tiny_corpora import build


def test_of_parquet_only_the_end_is_read(tmp_path: Path) -> None:
    """It indexes the rest, which may be hundreds of gigabytes."""
    contents = {"a": b"1" + bytes(1 << 16), "b": b"2" + bytes(1 << 16), "c": bytes(1 << 16) + b"2"}
    for suffix, same in (("parquet", True), ("csv", False)):
        for name, content in contents.items():
            (tmp_path / f"{name}.{suffix}").write_bytes(content)
        a, b, c = (fingerprint(tmp_path / f"{name}.{suffix}") for name in contents)
        assert (a == b, a == c) == (same, False)


def test_every_label_file_that_came_went_or_changed_is_named() -> None:
    """Since the last run that ended, and not since one that was killed."""
    ended: Record = {"source": {"a": 1, "gone": 1, "same": 1}}
    killed: Record = {"source": {"a": 2, "new": 1, "same": 1}}
    (note,) = source_notes(get_corpus("pstn"), [ended, killed], killed["source"])
    assert note == "pstn: changed at the source since last time: a, gone, new"
    assert source_notes(get_corpus("pstn"), [killed], killed["source"]) == []
    assert source_notes(get_corpus("pstn"), [], killed["source"]) == []


def test_files_that_are_no_longer_made_go(tmp_path: Path) -> None:
    """Pairs of which no clip is left, and all of a split that is none; what others put there stays."""
    before: Record = {"splits": {"train": {}, "dev": {}}}
    for split in ("train", "dev", "mine"):
        (tmp_path / split).mkdir()
        for name in ("data.jsonl", "ratings.jsonl", "pairs.jsonl", "notes.txt"):
            (tmp_path / split / name).touch()
    write_next(tmp_path, {})
    finish(tmp_path, [before], {"splits": {"train": {}}}, {("train", "data.jsonl")})
    left = {split: {path.name for path in (tmp_path / split).iterdir()} for split in ("train", "dev", "mine")}
    assert left["train"] == {"data.jsonl", "notes.txt"}
    assert left["dev"] == {"notes.txt"}
    assert left["mine"] == {"data.jsonl", "ratings.jsonl", "pairs.jsonl", "notes.txt"}


def test_what_a_kill_left_half_written_goes_with_the_next_run(tmp_path: Path) -> None:
    build("pstn", tmp_path / "raw" / "pstn")
    out, mine = tmp_path / "out" / "pstn", tmp_path / "out" / "pstn" / "train" / ".notes.123-0.tmp"
    for name in (
        "problems.jsonl",
        "prepared.json",
        ".prepared.next.json",
        "train/data.jsonl",
        "train/pairs.jsonl",
    ):
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f".{path.name}.123-0.tmp").touch()
    mine.touch()
    prepare("pstn", tmp_path / "raw", tmp_path / "out")
    assert list(out.rglob("*.tmp")) == [mine]
