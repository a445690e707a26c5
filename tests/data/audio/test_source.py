"""Only regular files are opened, file objects are read whole and left where they stood, and nothing hangs."""

import gzip
import io
import os
import socket
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sqa_data.audio import AudioError, digest, hear, look
from sqa_data.audio import source as source_module

posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices as files are POSIX")


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 8000), 16_000)
    return path


def fails(source: object, message: str) -> None:
    for read in (hear, look):
        with pytest.raises(AudioError, match=message):
            read(source)  # type: ignore[operator]


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is not audio, whatever its name says\n" * 9)
    (tmp_path / "dangling.wav").symlink_to("gone")
    fails(tmp_path / "empty.wav", r"empty\.wav: the file is empty \(0 bytes\)")
    fails(tmp_path / "text.wav", r"text\.wav: not readable as audio: ")
    fails(tmp_path / "absent.wav", r"absent\.wav: no such file")
    fails(tmp_path / "dangling.wav", r"dangling\.wav: no such file")
    fails(str(tmp_path), "is a folder; expected a file")
    fails("a\0b.wav", "null")
    fails("x" * 5000, "name too long")
    fails(42, "cannot hear int; expected a path or a file object")
    fails(b"RIFF", "cannot hear bytes")


@posix
@pytest.mark.timeout(20)
def test_what_would_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to(tmp_path / "pipe.wav")
    fails(tmp_path / "pipe.wav", "is a pipe; expected a regular file")
    fails(tmp_path / "link.wav", "is a pipe; expected a regular file")
    fails("/dev/zero", "is a device; expected a regular file")
    with open("/dev/zero", "rb") as zero:  # noqa: PTH123
        fails(zero, "is a device; expected a file or a pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(tmp_path)  # the name of a socket must be short
        try:
            server.bind("s.wav")
        finally:
            os.chdir(here)
        fails(tmp_path / "s.wav", "is a socket or a device")
    with pytest.raises(AudioError, match="is a pipe"):
        digest(tmp_path / "pipe.wav")


@posix
def test_odd_names(wav: Path, tmp_path: Path) -> None:
    for name in (
        "with space.wav",
        "ünïcødé 日本語.wav",
        "-dash.wav",
        "quote'\".wav",
        os.fsdecode(b"\xff\xfe.wav"),
    ):
        path = tmp_path / name
        path.write_bytes(wav.read_bytes())
        assert hear(path).duration_s == hear(str(path)).duration_s == look(path).duration_s == 0.5
        assert digest(path) == digest(wav)


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files by /proc")
def test_many_files_leave_nothing_open(wav: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(wav.read_bytes()[:30])
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        hear(wav)
        fails(bad, "not readable")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_file_objects(wav: Path, tmp_path: Path) -> None:
    expected = hear(wav).samples
    content = wav.read_bytes()
    memory = io.BytesIO(content)
    for position in (0, 17, len(content)):
        memory.seek(position)
        np.testing.assert_array_equal(hear(memory).samples, expected)
        assert look(memory).frames == 8000
        assert memory.tell() == position
    with wav.open("rb") as file:
        file.read(100)
        np.testing.assert_array_equal(hear(file).samples, expected)
        assert file.tell() == 100
    with gzip.open(tmp_path / "a.gz", "wb") as packed:
        packed.write(content)
    with gzip.open(tmp_path / "a.gz") as packed:
        np.testing.assert_array_equal(hear(packed).samples, expected)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(wav, "a.wav")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("a.wav") as member:
        np.testing.assert_array_equal(hear(member).samples, expected)
    fails(io.StringIO("RIFF" * 100), "gives text; open it with mode 'rb'")
    fails(io.BytesIO(), "the file is empty")


class Stream(io.RawIOBase):
    """A pipe: gives a few bytes at a time and cannot seek."""

    def __init__(self, content: bytes) -> None:
        self.content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        return self.content.readinto(memoryview(buffer)[:1000])


def test_streams_that_cannot_seek(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = wav.read_bytes()
    np.testing.assert_array_equal(hear(Stream(content)).samples, hear(wav).samples)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:

        def write() -> None:
            with os.fdopen(writing, "wb") as file:
                file.write(content)

        writer = threading.Thread(target=write)
        writer.start()
        np.testing.assert_array_equal(hear(pipe).samples, hear(wav).samples)
        writer.join()
    monkeypatch.setattr(source_module, "STREAM_CAP", 5000)
    fails(Stream(content), "holds more than 0 MiB; write it to a file")
