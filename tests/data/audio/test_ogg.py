"""A page that is cut gives its whole packets, and the missing end mark is a fact."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import encoded
from sqa_data.audio import AudioError, digest, hear
from sqa_data.audio.ogg import ends, shortened
from sqa_data.audio.source import opened


def test_half_an_ogg_has_no_end_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    content = encoded(("OGG", "VORBIS"), 200_000)
    whole = hear(io.BytesIO(content)).samples
    path.write_bytes(content[: len(content) // 2])
    heard = hear(path)
    # libsndfile alone drops the page that is cut, .55 s of it here
    np.testing.assert_array_equal(heard.samples, whole[: len(heard.samples)])
    assert len(heard.samples) > soundfile.info(path).frames + 5000
    assert [fact.code for fact in heard.facts] == ["short_of_header"]
    assert hear(path, most_s=1.0).facts == ()  # nobody asked how it ends
    with pytest.raises(AudioError, match="without its end mark"):
        digest(path)


def test_a_whole_file_needs_no_mending() -> None:
    with opened(io.BytesIO(encoded(("OGG", "VORBIS")) + b"TAG of another program")) as sound:
        assert shortened(sound) is None
        assert ends(sound)


@pytest.mark.parametrize(
    ("kind", "channels", "rate"),
    [(("OGG", "VORBIS"), 1, 16_000), (("OGG", "VORBIS"), 2, 44_100), (("OGG", "OPUS"), 1, 16_000)],
)
def test_every_cut_is_a_fact_or_an_error(kind: tuple[str, str], channels: int, rate: int) -> None:
    content = encoded(kind, 40_000, channels, rate)
    whole = hear(io.BytesIO(content)).samples
    for share in range(1, 100, 3):
        try:
            heard = hear(io.BytesIO(content[: len(content) * share // 100]))
        except AudioError:
            assert share < 50
            continue
        assert [fact.code for fact in heard.facts] == ["short_of_header"]
        assert len(heard.samples) <= len(whole)
        if kind[1] == "VORBIS":
            np.testing.assert_array_equal(heard.samples, whole[: len(heard.samples)])
