"""Silence around speech changes no score of a model that trims, and nothing else is left out."""

import pytest
import torch
from sqa_model import ModelConfig, MosModel
from sqa_model.network.ends import SHORTEST, without_silent_ends
from sqa_model.network.logmel import LogMelConfig
from sqa_model.network.wavlm import WavLMConfig


def speech(samples: int = 20_000) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(0))


def padded(clip: torch.Tensor, before: int, after: int) -> torch.Tensor:
    return torch.cat([torch.zeros(before), clip, torch.zeros(after)])


@pytest.mark.parametrize(
    "backbone",
    [LogMelConfig(dim=32, blocks=1), WavLMConfig(dim=96, layers=1, heads=4, feedforward=64, channels=64)],
    ids=["logmel", "wavlm"],
)
def test_silence_around_a_clip_changes_no_score(backbone: LogMelConfig | WavLMConfig) -> None:
    torch.manual_seed(0)
    config = ModelConfig(
        backbone, dim=16, layers=1, attention_heads=2, feedforward=16, normalize=True, trim=True
    )
    model = MosModel(config).eval()
    clip = speech()
    waves = [clip, padded(clip, 12_345, 0), padded(clip, 0, 160_000), padded(clip, 777, 8_000)]
    waves += [torch.zeros(9_000), padded(torch.ones(1), 500, 700)]  # nothing to hear, and hardly anything
    with torch.inference_mode():
        scores = model(waves)
        features = model.head(model.features(waves))
    assert torch.equal(scores[:4], scores[:1].expand(4, -1))
    assert (scores[0] - scores[4:]).abs().min() > 1e-4
    assert (scores - features).abs().max() < 1e-5
    assert scores.isfinite().all()


def test_what_is_left_out() -> None:
    clip = speech()
    clip[0] = clip[-1] = 0.1
    quiet = clip * 10 ** (-59 / 20)
    loud = torch.cat([clip, quiet * 10 ** (-10 / 20)])
    assert torch.equal(without_silent_ends(clip), clip)
    assert torch.equal(without_silent_ends(padded(clip, 3, 5)), clip)
    assert len(without_silent_ends(torch.cat([clip, quiet]))) > len(clip)  # a background of -59 dB is heard
    assert len(without_silent_ends(loud)) < len(clip) + 10_000
    assert torch.equal(without_silent_ends(torch.zeros(70)), torch.zeros(70))
    assert len(without_silent_ends(padded(torch.ones(1), 90, 0))) == 91
    for before in (0, 5_000, 9_900):
        click = without_silent_ends(padded(torch.ones(1), before, 10_000 - before))
        assert len(click) == SHORTEST
        assert click.sum() == 1


def test_gradients_reach_what_is_heard_alone() -> None:
    wave = padded(speech(), 100, 200).requires_grad_()
    without_silent_ends(wave).square().sum().backward()
    assert wave.grad is not None
    assert wave.grad[:100].abs().max() == wave.grad[-200:].abs().max() == 0
    assert wave.grad[100:-200].abs().mean() > 0.01
