"""Tiny encoders of every family of transformers with random weights, each published in a folder as transformers does.

Built, saved and run by transformers alone: nothing of sqa_model is used here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}
WAVES = SIZES | {
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    # as in published ones: what must not happen while we train
    "layerdrop": 0.9,
    "mask_time_prob": 0.9,
}
LARGE = {"conv_bias": True, "feat_extract_norm": "layer", "do_stable_layer_norm": True}
WHISPER: dict[str, Any] = {
    "d_model": 32,
    "encoder_layers": 3,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "encoder_layerdrop": 0.9,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 32,
    "num_mel_bins": 20,
    "max_source_positions": 100,  # 2 s
    "vocab_size": 50,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "decoder_start_token_id": 0,
    "begin_suppress_tokens": None,
}
BERT = SIZES | {"hidden_act": "swish", "layerdrop": 0.9}

# name -> model of transformers, as a function of nothing
MODELS: dict[str, Callable[[], Any]] = {
    "wav2vec2": lambda: transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**WAVES)),
    "xls-r": lambda: transformers.Wav2Vec2ForPreTraining(
        transformers.Wav2Vec2Config(**WAVES | LARGE, num_codevectors_per_group=4, add_adapter=False)
    ),
    "hubert": lambda: transformers.HubertForCTC(transformers.HubertConfig(**WAVES)),
    "hubert-large": lambda: transformers.HubertModel(transformers.HubertConfig(**WAVES | LARGE)),
    "mhubert": lambda: transformers.HubertModel(
        transformers.HubertConfig(**WAVES, conv_pos_batch_norm=True, feat_proj_layer_norm=False)
    ),
    "data2vec": lambda: transformers.Data2VecAudioModel(
        transformers.Data2VecAudioConfig(
            **WAVES | {"num_conv_pos_embeddings": 3, "add_adapter": True, "num_adapter_layers": 1}
        )
    ),
    "wavlm": lambda: transformers.WavLMModel(transformers.WavLMConfig(**WAVES)),
    "wavlm-large": lambda: transformers.WavLMModel(
        transformers.WavLMConfig(**WAVES | LARGE | {"conv_bias": False})
    ),
    "w2v-bert": lambda: transformers.Wav2Vec2BertModel(transformers.Wav2Vec2BertConfig(**BERT)),
    "whisper": lambda: transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**WHISPER)),
}


def extractor(name: str) -> Any:
    """What transformers prepares waveforms with; base WavLM alone takes them as they are."""
    if name == "whisper":
        return transformers.WhisperFeatureExtractor(feature_size=20, chunk_length=2)
    if name == "w2v-bert":
        return transformers.SeamlessM4TFeatureExtractor()
    return transformers.Wav2Vec2FeatureExtractor(do_normalize=name != "wavlm")


def publish(name: str, folder: Path) -> Any:
    """Write an encoder with its feature extractor into a folder; returns the model of transformers, in eval mode."""
    torch.manual_seed(sum(map(ord, name)))
    model = MODELS[name]().eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() == 1:  # norms and biases begin at 1 and 0, where mistakes do not show
                p += 0.1 * torch.randn_like(p)
        for key, value in model.named_buffers():
            if "running" in key:
                value += 0.3 * torch.rand_like(value)
    model.save_pretrained(folder)
    extractor(name).save_pretrained(folder)
    return model


def states(name: str, model: Any, wave: Tensor) -> Tensor:
    """The hidden states of one clip by transformers alone, as it says they are computed: (layers, frames, dim)."""
    if name == "w2v-bert":
        features = exact_fbank(wave)
        with torch.inference_mode():
            found = model(features, output_hidden_states=True).hidden_states
        return torch.cat(found)
    inputs = extractor(name)(wave.numpy(), sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        if name == "whisper":
            found = model.model.encoder(inputs.input_features, output_hidden_states=True).hidden_states
            frames = -(-len(wave) // 320)
        else:
            found = model(**inputs, output_hidden_states=True).hidden_states
            frames = found[0].shape[1]
    return torch.cat(found)[:, :frames]


def exact_fbank(wave: Tensor) -> Tensor:
    """What transformers' own extractor gives w2v-BERT of a clip, but normed in fp64: (1, frames, 160).

    The extractor sums logarithms in fp32, one after the other, and divides by their deviation, which is next to nothing
    in short clips: its own error is about 1e-5, which three layers make ten times as large.
    """
    bands = transformers.audio_utils.spectrogram(
        wave.numpy() * 2.0**15,
        extractor("w2v-bert").window,
        frame_length=400,
        hop_length=160,
        fft_length=512,
        center=False,
        power=2.0,
        preemphasis=0.97,
        mel_filters=extractor("w2v-bert").mel_filters,
        log_mel="log",
        mel_floor=1.192092955078125e-07,
        remove_dc_offset=True,
        dtype=np.float64,
    ).T
    bands = (bands - bands.mean(0)) / np.sqrt(bands.var(0, ddof=1) + 1e-7)
    pairs = len(bands) // 2
    return torch.tensor(bands[: 2 * pairs].reshape(1, pairs, 160), dtype=torch.float32)
