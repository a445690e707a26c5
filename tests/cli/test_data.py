"""`sqa-cli data` as a user runs it: all twelve corpora from a server to verified manifests, and the small tools."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from loopback import Do, Loopback, serve
from sqa_cli.main import main
from sqa_data import get_corpus, list_corpora, read_manifest
from tiny_corpora import BUILDERS, build

BY_HAND = ("bc19", "bvcc")
PUBLISHED_CHECKSUM = tuple(c.name for c in list_corpora() if any(a.checksum or a.size for a in c.archives))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with serve() as world:
        monkeypatch.setenv("HF_ENDPOINT", world.url)
        yield world


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(a) for a in args])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def publish(name: str, server: Loopback, folder: Path) -> dict[str, dict[str, object]]:
    expected = build(name, folder)
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    hub = get_corpus(name).hub
    if hub:
        server.repos[hub.repo] = files
    else:
        server.files |= {f"/{name}/{file}": content for file, content in files.items()}
    return expected  # type: ignore[return-value]


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


def test_killed_in_the_middle_and_run_again(server: Loopback, tmp_path: Path) -> None:
    """kill -9 of the command while the archive comes; the same command then ends well."""
    publish("pstn", server, tmp_path / "published")
    with zipfile.ZipFile(tmp_path / "published" / "train.zip", "a") as archive:
        archive.writestr("pstn_train/more.bin", os.urandom(2_000_000))
    big = (tmp_path / "published" / "train.zip").read_bytes()
    server.files["/pstn/train.zip"] = big
    server.always = Do(slow_s=0.05)
    raw = tmp_path / "raw"
    command = [sys.executable, "-m", "sqa_cli", "data", "download", "pstn", "--raw", str(raw)]
    command += ["--licence-ok", "pstn", "--from", server.url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        part = raw / "pstn" / "train.zip.part"
        while not part.exists() or part.stat().st_size < 200_000:
            assert process.poll() is None
            server.released.wait(0.02)
        process.kill()
    assert not (raw / "pstn" / "train.zip").exists()
    server.always = Do()
    run(*command[3:])
    assert (raw / "pstn" / "train.zip").read_bytes() == big
    assert server.ranges("/pstn/train.zip")[-1] is not None  # it went on, not anew


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    build("chime-7-udase-eval", tmp_path / "raw" / "chime-7-udase-eval")
    run("data", "prepare", "chime-7-udase-eval", "--raw", tmp_path / "raw", "--out", tmp_path / "data")
    return tmp_path / "data" / "chime-7-udase-eval" / "test" / "data.jsonl"


def test_list_and_show_for_people(tmp_path: Path) -> None:
    output = run("data", "list", "--raw", tmp_path, "--out", tmp_path)
    splits, corpora = output.split("\n\n")
    rows = {line.split()[0]: line for line in splits.splitlines() if " train " in line}
    assert "4,974" in rows["bvcc"]
    assert "136" in rows["bc19"]
    assert all(word in rows["urgent2024-sqa"] for word in ("238,000", "238", "429.34"))
    assert "96" in rows["tcd-voip"]
    about = {line.split()[0]: line for line in corpora.splitlines()}
    assert about["bvcc"].endswith("by hand")
    assert "CC BY-NC-SA 4.0" in about["urgent2024-sqa"]
    assert max(map(len, output.splitlines())) <= 80
    shown = run("data", "show", "bvcc", "--raw", "corpora")
    for text in (
        "main.tar.gz",
        "md5:fc880c2a208c3285a47bd9a64f34eb11",
        "02_gather.py",
        "Blizzard",
        "corpora/bvcc",
    ):
        assert text in shown
    assert "ood.tar.gz" in run("data", "show", "BC19")
    assert json.loads(run("data", "show", "somos", "--json"))["archives"][0]["size"] == 3971669902
    assert "no corpus 'nope'" in run("data", "show", "nope", code=1)


def test_a_leak_is_found_under_another_name(manifest: Path, tmp_path: Path) -> None:
    import soundfile

    first = read_manifest(manifest)[0]
    signal, rate = soundfile.read(first.audio_path, dtype="int16")
    soundfile.write(tmp_path / "other name.flac", signal, rate)
    row = {"audio_path": "other name.flac", "system_id": "s", "sample_id": "x", "split": "train"}
    row |= {"duration": len(signal) / rate, "metrics": {"mos": 3.0}}
    (tmp_path / "train.jsonl").write_text(json.dumps(row) + "\n")
    output = run("data", "verify", manifest, tmp_path / "train.jsonl", code=1)
    assert "error: shared: 1" in output
    assert f"{tmp_path / 'train.jsonl'}:1: the audio of sample 'x' is also at {manifest}:1" in output
    assert "shared" not in run("data", "verify", manifest, tmp_path / "train.jsonl", "--no-decode")


def test_stats(manifest: Path) -> None:
    output = run("data", "stats", manifest, "--plot")
    assert "chime-7-udase-eval  test" in output
    assert "█" in output
    (stats,) = json.loads(run("data", "stats", manifest, "--json"))
    assert (stats["samples"], stats["systems"], stats["mos"]["mean"]) == (2, 2, 2.75)
    assert stats["labels"] == {"mos": 2, "mos_bak": 2, "mos_sig": 2}
    assert sum(stats["mos"]["counts"]) == 2


def test_filter_merge_sample(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run("data", "filter", manifest, "--where", "mos=3..5", "--out", out)
    assert [u.sample_id for u in read_manifest(out)] == ["C1_S01_a"]
    run("data", "filter", manifest, "--system", "C2", "--label", "mos_sig", "--min-votes", 1, "--out", out)
    assert [u.sample_id for u in read_manifest(out)] == ["C2_S01_a"]
    assert "is also in" in run("data", "merge", manifest, manifest, "--out", tmp_path / "twice.jsonl", code=1)
    assert not (tmp_path / "twice.jsonl").exists()
    run("data", "sample", manifest, "-n", 1, "--out", out)
    assert len(read_manifest(out)) == 1
    run("data", "sample", manifest, "-n", 1, "--per-system", "--out", out)
    assert len(read_manifest(out)) == 2
    assert "expected LABEL=LOW..HIGH" in run(
        "data", "filter", manifest, "--where", "mos=x", "--out", out, code=2
    )


def test_archives_are_dropped_when_asked(server: Loopback, tmp_path: Path) -> None:
    publish("ttsds2", server, tmp_path / "published")
    raw = tmp_path / "raw"
    run("data", "download", "ttsds2", "--raw", raw, "--from", server.url, "--drop-archives")
    assert not (raw / "ttsds2" / "ttsds2.zip").exists()
    server.log.clear()
    assert "was here" in run("data", "download", "ttsds2", "--raw", raw, "--from", server.url)
    assert server.log == []
    run("data", "prepare", "ttsds2", "--raw", raw, "--out", tmp_path / "data")
    assert len(read_manifest(tmp_path / "data" / "ttsds2" / "train" / "data.jsonl")) == 2


def test_labels_only(server: Loopback, tmp_path: Path) -> None:
    publish("tencent", server, tmp_path / "published")
    options = ["--raw", tmp_path / "raw", "--from", server.url, "--labels-only"]
    paths = run("data", "download", "tencent", *options).splitlines()
    names = ["withReverberationTrainDevMOS.csv", "withoutReverberationTrainDevMOS.csv"]
    assert sorted(Path(path).name for path in paths) == names
    assert "--licence-ok pstn" in run("data", "download", "pstn", *options, code=1)


def test_import(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.jsonl"
    run("data", "import", manifest, "--corpus", "mine", "--split", "dev", "--out", out)
    assert {(u.corpus, u.split) for u in read_manifest(out)} == {("mine", "dev")}
    labels = tmp_path / "labels" / "chime-7-udase-eval" / "test"
    labels.mkdir(parents=True)
    (labels / "utmos.scp").write_text("C1_S01_a 2.5\nother 1.5\n")
    output = run("data", "import", tmp_path / "labels", "--into", tmp_path / "data")
    assert output.strip() == f"{manifest}: utmos 1; 1 ids are not in it"
    assert read_manifest(manifest)[0].metrics["utmos"] == 2.5


def test_a_folder_that_cannot_be(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    output = run("data", "merge", manifest, "--out", tmp_path / "file" / "m.jsonl", code=1)
    assert output.startswith("Error: ")
    assert "Not a directory" in output or "File exists" in output


def test_usage() -> None:
    assert "name a corpus" in run("data", "download", code=2)
    assert "either --out FILE or --into" in run("data", "import", ".", code=2)
    for command in (
        "list",
        "show",
        "download",
        "prepare",
        "verify",
        "stats",
        "import",
        "filter",
        "merge",
        "sample",
    ):
        assert "Usage:" in run("data", command, "--help")
    output = run("data", "--help")
    assert all(name in output for name in ("annotate", "degrade", "Examples"))


def test_help_is_light() -> None:
    """No torch, no pyarrow, no NumPy, no HTTP library behind `data --help`."""
    script = (
        "import sys; from sqa_cli.main import main\n"
        "try: main(['data', '--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'pyarrow', 'httpx2', 'huggingface_hub', 'numpy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
