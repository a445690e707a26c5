"""A size in a header is a claim, whatever the container."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from sounds import encoded, noise
from sqa_data.audio import AudioError, hear, look

FIELDS = {  # format -> (where the size of the sound stands, its code, what it counts besides)
    "WAV": (40, "<I", 0),
    "AU": (8, ">I", 0),
    "AIFF": (42, ">I", 8),
    "W64": (96, "<Q", 24),
    "RF64": (28, "<Q", 0),
    "CAF": (4084, ">Q", 4),
}


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("claim", ["nothing", "all", "never", "double"])
def test_a_size_in_a_header_is_a_claim(tmp_path: Path, name: str, claim: str) -> None:
    path = tmp_path / "a"
    at, code, more = FIELDS[name]
    content = bytearray(encoded((name, "PCM_16")))
    assert struct.unpack_from(code, content, at) == (40_000 + more,)
    longest = (1 << 8 * struct.calcsize(code)) - 1
    value = {"nothing": 0, "all": longest, "never": min(longest, 0x7FFFFFFF), "double": 80_000 + more}[claim]
    struct.pack_into(code, content, at, value)
    path.write_bytes(content)
    heard = hear(path)
    np.testing.assert_allclose(heard.samples, noise(20_000), atol=1e-4)
    assert look(path).frames == 20_000
    promised = claim == "double" or (claim == "never" and code[-1] == "Q")
    assert [fact.code for fact in heard.facts] == ["short_of_header"] * promised
    if claim == "double":
        assert "promises 2.50 s, the file holds 1.25 s" in heard.facts[0].text


def test_an_empty_sound_before_other_chunks_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    empty = encoded(("WAV", "PCM_16"), 0)
    path.write_bytes(empty + b"LIST" + struct.pack("<I", 12) + b"INFOISFTabcd")
    with pytest.raises(AudioError, match=r"a\.wav: no samples"):
        hear(path)
    assert look(path).frames == 0


def test_chunks_before_the_sound_are_passed_over() -> None:
    content = encoded(("WAV", "PCM_16"))
    junk = b"JUNK" + struct.pack("<I", 9001) + bytes(9002)
    content = content[:36] + junk + content[36:]
    heard = hear(io.BytesIO(content))
    assert (heard.samples.shape, heard.facts) == ((20_000, 1), ())
    assert look(io.BytesIO(content)).frames == 20_000
    half = hear(io.BytesIO(content[:-20_000]))
    assert "promises 1.25 s, the file holds 0.62 s" in half.facts[0].text


def test_a_block_size_that_is_not_that_of_the_samples() -> None:
    content = bytearray(encoded(("WAV", "PCM_16")))
    struct.pack_into("<H", content, 32, 4)  # 2 bytes a frame are right
    file = io.BytesIO(content)
    assert look(file).frames == len(hear(file).samples) == 20_000


def test_a_chunk_that_ends_beyond_every_file() -> None:
    content = bytearray(encoded(("W64", "PCM_16")))
    struct.pack_into("<Q", content, 56, (1 << 64) - 1)
    with pytest.raises(AudioError, match="not readable as audio"):
        hear(io.BytesIO(content))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "begin", [b"RIFF\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF", b"caff\0\1\0\0", b"riff", b"RF64\0\0\0\0WAVE"]
)
def test_a_chain_without_an_end_is_left(begin: bytes) -> None:
    with pytest.raises(AudioError, match="not readable as audio"):
        hear(io.BytesIO(begin.ljust(20 << 20, b"\0")))
