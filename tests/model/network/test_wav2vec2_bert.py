"""What w2v-BERT hears, and how its clips lie in a batch."""

import itertools

import pytest
import torch
from sqa_model import ModelError
from sqa_model.network.wav2vec2_bert import PADDING, Wav2Vec2Bert, Wav2Vec2BertConfig, alike
from tiny_encoders import SIZES, exact_fbank, extractor


def noise(samples: int) -> torch.Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(samples)) * 0.05 + 0.02


def test_the_spectrum_is_the_extractors() -> None:
    encoder = Wav2Vec2Bert(Wav2Vec2BertConfig(**SIZES))
    for clip in (noise(719), noise(720), noise(16_000), noise(30_000) * 1e-4, torch.zeros(9_000)):
        prepared = extractor("w2v-bert")(clip.numpy(), sampling_rate=16_000, return_tensors="pt")
        (frames,) = encoder.lengths([len(clip)])
        assert frames == int(prepared.attention_mask.sum())
        found = encoder.fbank(clip, frames)
        assert (found - exact_fbank(clip)[0]).abs().max() < 1e-5
        if clip.any():  # of silence its sums in fp32 are not quite the same in all frames
            assert (found - prepared.input_features[0, :frames]).abs().max() < 1e-3


def test_clips_of_about_one_length_go_together() -> None:
    lengths = torch.randint(1, 500, (200,), generator=torch.Generator().manual_seed(0)).tolist()
    groups = alike(lengths)
    assert sorted(itertools.chain(*groups)) == list(range(200))
    for group in groups:
        among = [lengths[i] for i in group]
        assert max(among) <= PADDING * min(among)


def test_only_the_published_kind_of_positions_is_known() -> None:
    with pytest.raises(ModelError, match="position_embeddings_type is 'rotary'; only 'relative_key'"):
        Wav2Vec2BertConfig.from_hugging_face({"position_embeddings_type": "rotary"}, normalize=False)
    with pytest.raises(ModelError, match="input_dim must be even, conv_depthwise_kernel_size odd"):
        Wav2Vec2BertConfig(conv_depthwise_kernel_size=30)
