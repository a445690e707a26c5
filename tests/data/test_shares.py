"""I/N: every entry is somebody's, nobody's twice; what is no share is an error that shows one."""

from pathlib import Path

import pytest
from sqa_data import DataError
from sqa_data.shares import Share


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_are_a_partition(count: int) -> None:
    work = range(10)
    shares = Share(1, count).together()
    assert [share.index for share in shares] == list(range(1, count + 1))
    assert sorted(i for share in shares for i in share.of(work)) == list(work)
    assert list(shares[0].of(work)) == list(work[::count])


def test_parse_and_names() -> None:
    assert Share.parse(" 2/8 ") == Share(2, 8)
    assert str(Share(2, 8)) == "2/8"
    assert Share() == Share(1, 1)
    assert Share().path(Path("a/r.jsonl")) == Path("a/r.jsonl")
    assert Share(8, 8).path(Path("a/r.jsonl")) == Path("a/r.jsonl.8-of-8")


@pytest.mark.parametrize(
    "text", ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b", "1.0/2", "٣/٤", "1/" + "9" * 5000]
)
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(DataError, match="expected I/N with I from 1 to N, such as 2/8"):
        Share.parse(text)


def test_a_share_cannot_be_made_wrong() -> None:
    for index, count in ((0, 1), (2, 1), (1, 0)):
        with pytest.raises(DataError, match="shard is"):
            Share(index, count)


def test_torchruns_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert Share.of_environment() == Share()
    monkeypatch.setenv("RANK", "2")
    assert Share.of_environment() == Share(3, 4)
    for rank in ("4", "-1", "x"):
        monkeypatch.setenv("RANK", rank)
        with pytest.raises(DataError, match=f"RANK={rank} and WORLD_SIZE=4; expected 0 <= RANK"):
            Share.of_environment()
