"""`sqa-cli data download`: killed and run again, archives dropped, labels alone."""

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
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


STOPPED = "stopped; what is done is kept: the same command goes on from here\n"


@pytest.mark.slow
def test_ctrl_c_in_the_middle_and_run_again(server: Loopback, tmp_path: Path) -> None:
    """Sent to the whole process group, as a terminal does: one sentence, the part is kept, nothing is asked twice."""
    big = os.urandom(4_000_000)
    server.files["/pstn/train.zip"] = big
    server.always = Do(slow_s=0.2)
    command = [sys.executable, "-m", "sqa_cli", "data", "download", "pstn", "--raw", str(tmp_path)]
    command += ["--licence-ok", "pstn", "--from", server.url]
    part = tmp_path / "pstn" / "train.zip.part"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while not part.exists() or part.stat().st_size < 200_000:
            assert process.poll() is None
            server.released.wait(0.02)
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate(timeout=60) == (None, STOPPED)
    assert process.returncode == 130
    kept = part.stat().st_size
    server.always = Do()
    run(*command[3:])
    assert (tmp_path / "pstn" / "train.zip").read_bytes() == big
    assert server.ranges("/pstn/train.zip")[-1] == f"bytes={kept}-"
    left = {path.name for path in (tmp_path / "pstn").iterdir() if path.suffix != ".lock"}
    assert left == {"train.zip", "downloads.json", "licence.json"}


@pytest.mark.slow
def test_a_full_disk_is_told_once_and_keeps_what_came(server: Loopback, tmp_path: Path) -> None:
    """Real: no file may be longer than 300,000 bytes. The other source is not asked: it needs the same room."""
    big = os.urandom(1_000_000)
    server.files["/pstn/train.zip"] = big
    command = [sys.executable, "-m", "sqa_cli", "data", "download", "pstn", "--raw", str(tmp_path)]
    command += ["--licence-ok", "pstn", "--from", server.url]
    limit = f"import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, {(300_000, 300_000)})"
    limited = [
        sys.executable,
        "-c",
        f"{limit}; runpy.run_module('sqa_cli', run_name='__main__')",
        *command[3:],
    ]
    result = subprocess.run(limited, capture_output=True, text=True, check=False)
    where = tmp_path / "pstn" / "train.zip"
    told = f"{where}: the disk is full; what came so far is kept in train.zip.part: make room and run again"
    assert (result.returncode, result.stderr.splitlines()[1:]) == (1, [told])
    run(*command[3:])
    assert where.read_bytes() == big
    assert server.ranges("/pstn/train.zip") == [None, "bytes=300000-"]


def test_elsewhere_in_circles_and_not_the_file_of_last_time(server: Loopback, tmp_path: Path) -> None:
    server.files |= {"/pstn/train.zip": b"one", "/elsewhere": b"one"}
    options = ["pstn", "--raw", tmp_path, "--licence-ok", "pstn", "--from", server.url, "--retries", 0]
    server.always = Do(status=302, headers=(("Location", f"{server.url}/pstn/train.zip"),))
    assert "Exceeded maximum allowed redirects" in run("data", "download", *options, code=1)
    server.always = Do()
    server.script.append(Do(status=302, headers=(("Location", f"{server.url}/elsewhere"),)))
    run("data", "download", *options)
    archive = tmp_path / "pstn" / "train.zip"
    assert archive.read_bytes() == b"one"
    archive.unlink()
    for other in (b"two", b"longer"):
        server.files["/pstn/train.zip"] = other
        assert "or the publisher replaced the file" in run("data", "download", *options, code=1)
        assert not list(archive.parent.glob("train*"))
    server.files["/pstn/train.zip"] = b"one"
    run("data", "download", *options)
    assert archive.read_bytes() == b"one"


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
