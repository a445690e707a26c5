"""What libsndfile refuses is named, what fails below it is told, and a mended source is read through Python."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from sounds import encoded
from sqa_data.audio import AudioError, hear
from sqa_data.audio import source as source_module

WAV = encoded(("WAV", "PCM_16"), 8000)


@pytest.mark.parametrize(
    ("begin", "kind"),
    [
        (b"\0\0\0\x20ftypM4A ", "MP4 or M4A"),
        (b"<!DOCTYPE html>", "HTML"),
        (b"\x1f\x8b\x08", "packed by gzip"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
    ],
)
def test_what_holds_no_audio_for_us_is_named(begin: bytes, kind: str) -> None:
    with pytest.raises(
        AudioError, match=f"not readable as audio: it is {kind}; expected WAV, FLAC, Ogg, MP3"
    ):
        hear(io.BytesIO(begin.ljust(3000, b"\1")))


class Torn(io.BytesIO):
    """A file object that fails from its 5,000th byte on."""

    error: BaseException = OSError("the line is dead")

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 5000:
            raise self.error
        return super().read(size)


def test_a_failure_while_reading_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AudioError, match="cannot be read: the line is dead"):
        hear(Torn(WAV), start_s=0.4)
    assert capfd.readouterr().err == ""


def test_ctrl_c_while_reading_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    torn = Torn(WAV)
    torn.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        hear(torn, start_s=0.4)
    assert capfd.readouterr().err == ""


def test_a_mended_header_is_read_through_python() -> None:
    content = bytearray(WAV)
    struct.pack_into("<I", content, 40, 0)
    np.testing.assert_array_equal(hear(io.BytesIO(content)).samples, hear(io.BytesIO(WAV)).samples)


def test_python_reads_for_libsndfile_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(WAV)
    expected = hear(path).samples
    monkeypatch.setattr(source_module.sys, "platform", "win32")
    np.testing.assert_array_equal(hear(path).samples, expected)
    np.testing.assert_array_equal(hear(path, start_s=0.1, most_s=0.2).samples, expected[1600:4800])
