"""`sqa-cli data prepare`: all twelve corpora from a server to verified manifests."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from commands import run
from loopback import Loopback
from sqa_data import corpora, get_corpus, list_corpora, read_manifest
from tiny_corpora import BUILDERS, Clip, Expected, bring_by_hand, build, publish, tone, zipped

MANY_FILES = ("bernoulli-codec", "p835-reference")  # brought one by one
BY_HAND = ("bc19", "bvcc")
PUBLISHED_CHECKSUM = tuple(c.name for c in list_corpora() if any(a.checksum or a.size for a in c.files))


def accept_small_archives(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The published checksums are of the real archives: without them, the first download sets one."""
    corpus = get_corpus(name)
    small = tuple(replace(archive, checksum=None, size=None) for archive in corpus.archives)
    picked = corpus.picked
    if picked:
        picked = replace(picked, archives=tuple(replace(a, checksum=None) for a in picked.archives))
    changed = replace(corpus, archives=small, picked=picked)
    for module in ("sqa_data", "sqa_data.sources.download", "sqa_data.prepare.run"):
        monkeypatch.setattr(
            sys.modules[module], "get_corpus", lambda asked: changed if asked == name else get_corpus(asked)
        )


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in MANY_FILES else []) for name in sorted(BUILDERS)],
)
def test_download_prepare_verify(
    name: str, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = publish(name, server, tmp_path / "published" / name)
    raw, out = tmp_path / "raw ü", tmp_path / "d a t a"
    if other := get_corpus(name).audio_of:
        build(other, raw / other)
    bring_by_hand(name, tmp_path / "published" / name, raw / name)
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


TOY = '''
"""A corpus of one file, as CONTRIBUTING.md says it is added."""

from sqa_data.corpus import MIT, Archive, Corpus, Rating, Split
from sqa_data.tables import each_row


@each_row({"scores.csv": "train"}, "clip", "system", "listener?", "score")
def parse(row, split):
    clip = row.inside("clip")
    yield Rating(split, clip, clip.removesuffix(".wav"), row["system"], row["listener"] or None, row.number("score"))


CORPUS = Corpus(
    name="toy",
    title="Toy corpus",
    splits={"train": Split(2, 2)},
    sample_rates=(11025,),
    licence=MIT,
    archives=(Archive("toy.zip", ("https://example.org/files/",)),),
    links=("https://example.org/toy",),
    citation="A. Nobody, A toy, 2026",
    parse=parse,
)
'''


def toy(folder: Path) -> Expected:
    table = "Clip,System,Score\na.wav,s1,4\na.wav,s1,3\nb.wav,s2,2\n"
    clips = {f"{name}.wav": tone(f"toy {name}", 11025) for name in "ab"}
    zipped(folder / "toy.zip", {"scores.csv": table.encode()} | clips)
    return {"train": {"a": Clip("s1", 3.5, 2), "b": Clip("s2", 2.0, 1)}}


def test_a_new_corpus_is_one_file(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A toy is added by the steps of CONTRIBUTING.md, and goes the way of all others."""
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.setattr(corpora, "__path__", [*corpora.__path__, str(tmp_path)])
    monkeypatch.setitem(BUILDERS, "toy", toy)
    list_corpora.cache_clear()
    try:
        assert get_corpus("toy").archives[0].sources == ("https://example.org/files/toy.zip",)
        test_download_prepare_verify("toy", server, tmp_path, monkeypatch)
    finally:
        list_corpora.cache_clear()
        sys.modules.pop("sqa_data.corpora.toy")


def test_one_corpus_that_is_not_here_keeps_no_other_from_being_prepared(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "data"
    build("ttsds2", raw / "ttsds2")
    output = run("data", "prepare", "tencent", "ttsds2", "pstn", "--raw", raw, "--out", out, code=1)
    assert f"{out}/ttsds2/train/data.jsonl: 2 samples" in output
    assert f"Error: {raw}/tencent: nothing here" in output
    assert f"\n{raw}/pstn: nothing here" in output


def files_of(folder: Path) -> dict[str, bytes]:
    """Name -> content of all files, but for locks and the times of files."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".lock", ".done")
    }


SLOWLY = """
import runpy, sys, time
from sqa_data.sources import parquet
write = parquet.write_small
def slowly(path, content):
    write(path, content)
    print("written", flush=True)
    time.sleep(0.5)
parquet.write_small = slowly
runpy.run_module("sqa_cli", run_name="__main__")
"""


@pytest.mark.slow
def test_ctrl_c_in_the_middle_and_run_again(tmp_path: Path) -> None:
    """Sent to the whole process group, as a terminal does: one sentence, no manifest, then the same as undisturbed."""
    build("urgent2024-sqa", tmp_path / "raw" / "urgent2024-sqa")
    command = ["data", "prepare", "urgent2024-sqa", "--raw", tmp_path / "raw", "--out", tmp_path / "out"]
    with subprocess.Popen(
        [sys.executable, "-c", SLOWLY, *command, "--jobs", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert told == "stopped; what is done is kept: the same command goes on from here\n"
    assert process.returncode == 130
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "raw").rglob("*.flac")}
    assert 0 < len(kept) < 5
    assert not list((tmp_path / "out").rglob("*.jsonl"))
    run(*command)
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert not [name for name in files_of(tmp_path) if name.endswith((".tmp", ".partial"))]
    run(*command[:-1], tmp_path / "anew")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "anew")


@pytest.mark.slow
def test_a_full_disk_while_manifests_are_written(tmp_path: Path) -> None:
    """Real: only the longest file does not fit. One sentence, none of the others, all when there is room."""
    build("tcd-voip", tmp_path / "raw" / "tcd-voip")
    command = ["data", "prepare", "tcd-voip", "--raw", tmp_path / "raw", "--out"]
    run(*command, tmp_path / "whole")
    out = tmp_path / "out" / "tcd-voip"
    *_, most, longest = sorted(len(content) for content in files_of(tmp_path / "whole").values())
    assert most < longest
    limit = f"import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, {(most, most)})"
    limited = [sys.executable, "-c", f"{limit}; runpy.run_module('sqa_cli', run_name='__main__')", *command]
    result = subprocess.run([*limited, tmp_path / "out"], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert (
        result.stderr == f"Error: {out}: File too large; mend that, such as by making room, and run again\n"
    )
    assert files_of(tmp_path / "out") == {}
    run(*command, tmp_path / "out")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")
