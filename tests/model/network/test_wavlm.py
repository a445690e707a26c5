"""Our WavLM against transformers' with the same random weights: every hidden state, every length."""

import pytest
import torch
import transformers
from sqa_model.checkpoint.names import wavlm_weights
from sqa_model.network.wavlm import WavLM, WavLMConfig

SMALL = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128}
SIZES = {  # ours, and what differs from transformers' defaults (which are wavlm-base)
    "small": (
        WavLMConfig(dim=96, layers=3, heads=4, feedforward=128, channels=64),
        SMALL | {"conv_dim": (64,) * 7},
    ),
    "small-pre-norm": (
        WavLMConfig(dim=96, layers=3, heads=4, feedforward=128, channels=64, pre_norm=True),
        SMALL | {"conv_dim": (64,) * 7, "feat_extract_norm": "layer", "do_stable_layer_norm": True},
    ),
    "base": (WavLMConfig(), {}),
    "large": (
        WavLMConfig(dim=1024, layers=24, heads=16, feedforward=4096, pre_norm=True),
        {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
            "feat_extract_norm": "layer",
            "do_stable_layer_norm": True,
        },
    ),
}


def pair(size: str) -> tuple[WavLM, transformers.WavLMModel]:
    """Ours and theirs with one set of random weights, none left at an uninformative start such as 0 or 1."""
    torch.manual_seed(1)
    ours_config, changes = SIZES[size]
    theirs = transformers.WavLMModel(transformers.WavLMConfig(**changes)).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "norm" in name or name.endswith("bias") or "gru_rel_pos" in name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    with torch.device("meta"):
        ours = WavLM(ours_config)
    ours.load_state_dict(wavlm_weights(theirs.state_dict(), ours_config), assign=True, strict=True)
    return ours.eval(), theirs


def speech(seconds: float, seed: int = 0) -> torch.Tensor:
    """Noise with a slow envelope: (samples,)."""
    generator = torch.Generator().manual_seed(seed)
    n = round(16_000 * seconds)
    return torch.randn(n, generator=generator) * 0.1 * (1 + torch.sin(torch.arange(n) / 3000))


@pytest.fixture(scope="module", params=["small", "small-pre-norm"])
def small(request: pytest.FixtureRequest) -> tuple[WavLM, transformers.WavLMModel]:
    return pair(request.param)


def check_parity(models: tuple[WavLM, transformers.WavLMModel], seconds: float) -> None:
    ours, theirs = models
    wave = speech(seconds)
    with torch.inference_mode():
        got = list(ours([wave]))
        want = theirs(wave[None], output_hidden_states=True).hidden_states
    assert len(got) == len(want) == ours.config.layers + 1
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        assert g.shape == w[0].shape, f"state {i}"
        assert (g - w[0]).abs().max() < 1e-4, f"state {i}"


@pytest.mark.parametrize("seconds", [0.025, 0.1, 0.1237, 0.5, 1.3, 3.0, 7.7, 20.0])
def test_states_equal_transformers(small: tuple[WavLM, transformers.WavLMModel], seconds: float) -> None:
    check_parity(small, seconds)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["base", "large"])
def test_states_equal_transformers_at_full_size(size: str) -> None:
    models = pair(size)
    for seconds in (0.1, 2.0, 20.0) if size == "base" else (0.1, 5.0):
        check_parity(models, seconds)
