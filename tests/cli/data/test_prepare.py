"""`sqa-cli data prepare`: all twelve corpora from a server to verified manifests."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from commands import run
from loopback import Loopback
from sqa_data import get_corpus, list_corpora, read_manifest
from tiny_corpora import BUILDERS, publish

BY_HAND = ("bc19", "bvcc")
PUBLISHED_CHECKSUM = tuple(c.name for c in list_corpora() if any(a.checksum or a.size for a in c.archives))


def accept_small_archives(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The published checksums are of the real archives: without them, the first download sets one."""
    corpus = get_corpus(name)
    small = tuple(replace(archive, checksum=None, size=None) for archive in corpus.archives)
    changed = replace(corpus, archives=small)
    for module in ("sqa_data", "sqa_data.sources.download", "sqa_data.prepare.run"):
        monkeypatch.setattr(sys.modules[module], "get_corpus", lambda name: changed)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_download_prepare_verify(
    name: str, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = publish(name, server, tmp_path / "published")
    raw, out = tmp_path / "raw ü", tmp_path / "d a t a"
    if name in PUBLISHED_CHECKSUM:
        # as long as the published facts hold, the small archive is refused
        failed = run(
            "data",
            "download",
            name,
            "--raw",
            raw,
            "--licence-ok",
            name,
            "--from",
            server.url,
            "--retries",
            0,
            code=1,
        )
        assert "expected" in failed
        accept_small_archives(monkeypatch, name)
    if get_corpus(name).licence.ask and name not in PUBLISHED_CHECKSUM:
        assert f"--licence-ok {name}" in run("data", "download", name, "--raw", raw, code=1)
    options = ["--raw", raw, "--licence-ok", name, "--from", server.url, "--json"]
    brought = json.loads(run("data", "download", name, *options))
    assert all(Path(item["path"]).is_file() for item in brought)
    if get_corpus(name).hub:
        brought = json.loads(run("data", "download", name, *options, "--optional"))

    places = ["--raw", raw, "--out", out]
    if name in BY_HAND:
        assert "01_get.py" in run("data", "prepare", name, *places, code=1)
    partial = ["--partial"] if name in BY_HAND else []
    made = json.loads(run("data", "prepare", name, *places, *partial, "--json"))
    assert {m["split"]: m["samples"] for m in made} == {
        split: len(clips) for split, clips in expected.items()
    }

    paths = [m["manifest"] for m in made]
    checked = json.loads(run("data", "verify", *paths, "--json"))
    assert checked["ok"]
    assert checked["samples"] == sum(len(clips) for clips in expected.values())
    assert set(checked["counts"]) <= {"count", "unlabelled"}
    states = {
        (row["corpus"], row["split"]): row["here"]
        for row in json.loads(run("data", "list", *places, "--json"))
    }
    assert {states[name, split] for split in expected} == {"verified"}
    for split, clips in expected.items():
        ids = [u.sample_id for u in read_manifest(out / name / split / "data.jsonl")]
        assert ids == sorted(clips)
