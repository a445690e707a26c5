"""`sqa-cli data download`: killed and run again, archives dropped, labels alone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from commands import run
from loopback import Do, Loopback
from sqa_data import read_manifest
from tiny_corpora import publish


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


def test_only_some_files(server: Loopback, tmp_path: Path) -> None:
    """What the road by hand of BVCC begins with: the labels, without the 74 GB of archives; it needs no archive."""
    expected = publish("bc19", server, tmp_path / "published")
    raw = tmp_path / "raw"
    options = ["--raw", raw, "--licence-ok", "bc19", "--from", server.url, "--only", "ood*", "--unpack"]
    assert len(run("data", "download", "bc19", *options).splitlines()) == 1
    shown = run("data", "prepare", "bc19", "--raw", raw, "--out", tmp_path / "data", code=1)
    assert "of 1,352 clips of bc19" in shown
    assert "sqa-cli data download bc19 --licence-ok bc19" in shown
    run("data", "prepare", "bc19", "--raw", raw, "--out", tmp_path / "data", "--partial")
    assert len(read_manifest(tmp_path / "data" / "bc19" / "train" / "data.jsonl")) == len(expected["train"])


def test_labels_only_takes_no_options_of_files(tmp_path: Path) -> None:
    output = run("data", "download", "pstn", "--raw", tmp_path, "--labels-only", "--only", "x", code=2)
    assert "--labels-only does not go with --only" in output
    output = run("data", "download", "pstn", "--raw", tmp_path, "--labels-only", "--unpack", code=2)
    assert "--labels-only does not go with --unpack" in output


def test_what_is_left_by_hand_is_told_while_it_is(server: Loopback, tmp_path: Path) -> None:
    publish("tmhint-qi-s", server, tmp_path / "published")
    options = ["--raw", tmp_path / "raw", "--licence-ok", "all", "--from", server.url]
    told = "more is to be done by hand, see `sqa-cli data show tmhint-qi-s`"
    assert told in run("data", "download", "tmhint-qi-s", *options, "--only", "answer.csv")
    assert told not in run("data", "download", "tmhint-qi-s", *options)
