"""One id for one path, wherever it is met."""

import pytest
from sqa_data.ids import SUFFIXES, clip_id, clip_ids


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("s1/u1.flac", "u1"),
        ("a/b.aiff", "b"),
        ("a/b.AIFC", "b"),
        ("/abs/take.1.wav", "take.1"),
        ("C:\\x\\u1.wav", "u1"),
        ("plain", "plain"),
        ("a/v1.5", "v1.5"),
        ("u1.wav.flac", "u1.wav"),
        ("a/.wav", ".wav"),
        (".wav", ".wav"),
        ("a/u1.wav/", "u1"),
        ("/", "/"),
        ("", ""),
        ("ü b\udce4.ogg", "ü b\udce4"),
    ],
)
def test_clip_id(path: str, expected: str) -> None:
    assert clip_id(path) == expected


def test_every_suffix_is_cut_in_every_case() -> None:
    assert {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aifc", ".wave", ".oga", ".sph"} <= SUFFIXES
    for suffix in SUFFIXES:
        assert clip_id(f"x{suffix}") == clip_id(f"x{suffix.upper()}") == "x"


def test_equal_names_are_told_apart() -> None:
    assert clip_ids([]) == []
    assert clip_ids(["a/s1/u.wav", "a/s2/u.wav", "a/s2/v.wav"]) == ["s1/u", "s2/u", "s2/v"]
    assert clip_ids(["a/u.wav", "a/u.flac"]) == ["u.wav", "u.flac"]
    assert clip_ids(["a/u.wav", "a/../a/u.wav"]) == [
        "u.wav",
        "u.wav",
    ]  # one file twice: whoever lists it says so
    assert clip_ids(["a/s1/u.wav", "b/u.wav", "b/u.flac"]) == ["a/s1/u.wav", "b/u.wav", "b/u.flac"]
