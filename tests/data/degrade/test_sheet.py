"""The sheet of pictures: a picture for each kind and severity, which shows what is there."""

import base64
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from degrading import speech_like
from sqa_data import DataError
from sqa_data.degrade.kind import Surroundings
from sqa_data.degrade.sheet import HEIGHT, WIDTH, picture, png, sheet_of


def pixels_of(content: bytes) -> np.ndarray:
    """(height, width): the indices of an indexed PNG, its check sums verified."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(content):
        length, name = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + body)
        chunks[name] = body
        at += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert len(chunks[b"PLTE"]) == 3 * 256
    return np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)[:, 1:]


def shown(image: str) -> np.ndarray:
    return pixels_of(base64.b64decode(image.partition("base64,")[2].rstrip('">')))


def test_a_png_holds_its_pixels() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(pixels_of(png(pixels)), pixels)


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_a_tone_is_a_line_at_its_height(rate: int) -> None:
    tone = 0.1 * np.sin(2 * np.pi * 0.125 * rate * np.arange(2 * rate) / rate)
    image = shown(picture(tone, rate))
    assert image.shape == (HEIGHT, WIDTH)
    assert np.argmax(image[:, WIDTH // 2]) == pytest.approx(0.75 * HEIGHT, abs=2)  # a quarter up
    late = shown(picture(np.concatenate([np.zeros(rate), tone[:rate]]), rate))
    assert late[:, : WIDTH // 3].max() == 0 < late[:, -WIDTH // 3 :].max()
    assert shown(picture(np.zeros(200), rate)).max() == 255  # silence has one level


def test_the_sheet_has_three_pictures_of_each_kind_and_what_it_says(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", speech_like(1.0, rate=48_000), 48_000)
    done: list[int] = []
    sheet_of(
        tmp_path / "s.html", tmp_path / "a.wav", ["lowpass", "wiener"], Surroundings(), progress=done.append
    )
    text = (tmp_path / "s.html").read_text()
    assert text.count("<img") == 1 + 2 * 3
    assert done == [1, 2]
    assert re.findall(r"cutoff_hz ([0-9.e+]+)", text)[-1] == "800"
    assert "strength 6" in text
    with pytest.raises(DataError, match="'noise' cannot run here"):
        sheet_of(tmp_path / "t.html", tmp_path / "a.wav", ["noise"], Surroundings())
    assert not (tmp_path / "t.html").exists()
