"""Whisper's ears: the spectrum of its own extractor, 30 s at a time."""

import pytest
import torch
import transformers
from sqa_model.network.whisper import Whisper, WhisperConfig

SIZES = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 16}


def noise(samples: int) -> torch.Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(samples)) * 0.1


@pytest.fixture(scope="module")
def whisper() -> Whisper:
    torch.manual_seed(0)
    return Whisper(WhisperConfig(**SIZES)).eval()  # type: ignore[arg-type]


def test_the_spectrum_is_the_extractors(whisper: Whisper) -> None:
    extractor = transformers.WhisperFeatureExtractor()
    for clip in (noise(400), noise(100_000), torch.zeros(16_000), noise(480_000)):
        expected = extractor(clip.numpy(), sampling_rate=16_000, return_tensors="pt").input_features[0]
        padded = torch.nn.functional.pad(clip, (0, 480_000 - len(clip)))
        assert (whisper.log_mel(padded) - expected).abs().max() < 1e-5


def test_a_clip_is_followed_by_30_s_of_silence(whisper: Whisper) -> None:
    with torch.inference_mode():
        short = list(whisper([noise(5_000)]))
        padded = list(whisper([torch.nn.functional.pad(noise(5_000), (0, 475_000))]))
    for one, other in zip(short, padded, strict=True):
        assert len(one) == 16
        assert (one - other[:16]).abs().max() < 1e-5


def test_a_long_clip_is_heard_in_pieces_of_its_window() -> None:
    torch.manual_seed(0)
    small = Whisper(WhisperConfig(**SIZES, max_source_positions=50)).eval()  # type: ignore[arg-type]
    clip = noise(40_000)  # 2.5 s, of which it hears 1 s at a time
    assert small.lengths([40_000]) == [125]
    with torch.inference_mode():
        whole = list(small([noise(300), clip]))
        pieces = list(small(list(clip.split(16_000))))
    for one, other in zip(whole, pieces, strict=True):
        assert (one[1:] - other).abs().max() < 1e-5


def test_many_pieces_are_computed_some_at_a_time() -> None:
    torch.manual_seed(0)
    small = Whisper(WhisperConfig(**SIZES, max_source_positions=10)).eval()  # type: ignore[arg-type]
    clips = [noise(n) for n in range(1_000, 1_000 + 40)]
    with torch.inference_mode():
        together = torch.stack(list(small(clips)))
        alone = torch.cat([torch.stack(list(small([clip]))) for clip in clips], 1)
    assert (together - alone).abs().max() < 1e-5
