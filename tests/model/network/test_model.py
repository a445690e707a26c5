"""The model's promises: the same score in any company, gradients, one computation split in two."""

import pytest
import torch
from sqa_model import Features, Head, ModelConfig, ModelError, MosModel
from sqa_model.network.logmel import LogMel, LogMelConfig
from sqa_model.network.model import bounded
from sqa_model.network.wavlm import Convolutions, WavLMConfig, exact_linear

TINY = {
    "logmel": LogMelConfig(dim=32, blocks=2),
    "logmel-lowered": LogMelConfig(dim=32, blocks=2, stride=4, context=3, channels=4),
    "logmel-finer": LogMelConfig(dim=32, blocks=2, stride=2, channels=4),
    "wavlm": WavLMConfig(dim=96, layers=3, heads=4, feedforward=128, channels=64),
    "wavlm-pre-norm": WavLMConfig(dim=96, layers=3, heads=4, feedforward=128, channels=64, pre_norm=True),
}
HEADS = [("mos", 1, 5), ("mos_std", 0, None), ("sdr", None, None), ("lsd", None, 2.0)]


@pytest.fixture(params=list(TINY))
def model(request: pytest.FixtureRequest) -> MosModel:
    torch.manual_seed(0)
    pooling = "attention" if request.param == "logmel-lowered" else "mean"
    config = ModelConfig(
        TINY[request.param], HEADS, dim=64, layers=2, attention_heads=4, feedforward=96, pooling=pooling
    )
    return MosModel(config).eval()


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed)) * 0.1


CLIPS = [noise(n, n) for n in (1, 399, 400, 401, 719, 720, 4_321, 16_000, 48_321, 100_000)]


def test_a_score_does_not_depend_on_the_batch(model: MosModel) -> None:
    with torch.inference_mode():
        alone = torch.cat([model([clip]) for clip in CLIPS])
        together = model(CLIPS)
        reversed_order = model(CLIPS[::-1]).flip(0)
        beside_noise = torch.stack([model([noise(50_000) * 9, clip])[1] for clip in CLIPS])
    assert alone.std(0).min() > 1e-3, "the clips must score differently for this test to mean anything"
    for other in (together, reversed_order, beside_noise):
        assert (alone - other).abs().max() < 1e-5


def test_features_then_head_is_forward(model: MosModel) -> None:
    with torch.inference_mode():
        whole = model(CLIPS)
        features = model.features(CLIPS)
        cached = Features(torch.cat([clip.states for clip in features.split()], 1), features.lengths)
        assert features.states.shape == (
            model.config.backbone.states,
            sum(features.lengths),
            model.config.backbone.dim,
        )
        assert (model.head(features) - whole).abs().max() < 1e-5
        assert torch.equal(model.head(cached), model.head(features))


def test_padded_tensor_with_lengths_equals_list(model: MosModel) -> None:
    padded = torch.nn.utils.rnn.pad_sequence(CLIPS, batch_first=True, padding_value=7.0)
    with torch.inference_mode():
        scores = model(padded, [len(c) for c in CLIPS])
        assert torch.equal(scores, model(CLIPS))
        assert torch.equal(model(CLIPS[-1]), model(CLIPS[-1:]))


def test_an_inference_copy_is_whole_on_its_device(model: MosModel) -> None:
    """Constants that are no weights follow, too: on CUDA a log-mel model's window once stayed behind."""
    elsewhere = model.inference_copy(torch.device("meta"), torch.bfloat16)
    for name, value in (*elsewhere.named_parameters(), *elsewhere.named_buffers()):
        assert value.is_meta, name
    for name, value in model.inference_copy(torch.device("cpu"), torch.bfloat16).named_parameters():
        exact = name.startswith(("mix", "metrics.", *(f"backbone.{n}" for n in model.backbone.exact)))
        assert value.dtype == (torch.float32 if exact else torch.bfloat16), name


def test_is_differentiable_as_a_loss(model: MosModel) -> None:
    wave = noise(3_000).requires_grad_()
    model([wave])[0, 0].backward()
    assert wave.grad is not None
    assert wave.grad.isfinite().all()
    # against a finite difference along the gradient, in the same direction
    direction = wave.grad / wave.grad.norm()
    with torch.no_grad():
        step = 1e-2
        up, down = model([wave + step * direction])[0, 0], model([wave - step * direction])[0, 0]
    slope = (up - down) / (2 * step)
    assert slope == pytest.approx(wave.grad.norm().item(), rel=0.05)


def test_silence_has_finite_scores_and_gradients(model: MosModel) -> None:
    wave = torch.zeros(5_000, requires_grad=True)
    scores = model([wave])
    scores.sum().backward()
    assert scores.isfinite().all()
    assert wave.grad is not None
    assert wave.grad.isfinite().all()


def test_constants_survive_emptying_and_rounding(model: MosModel) -> None:
    with torch.device("meta"):
        other = MosModel(model.config)
    other = other.to_empty(device="cpu").bfloat16().float().eval()
    other.load_state_dict(model.state_dict())
    with torch.inference_mode():
        assert torch.equal(other(CLIPS), model(CLIPS))


def test_dropout_only_while_training(model: MosModel) -> None:
    clips = CLIPS[-2:]
    with torch.no_grad():
        assert torch.equal(model(clips), model(clips))
        model.train()
        assert not torch.equal(model(clips), model(clips))


def test_autocast_leaves_the_waveform_alone() -> None:
    wave = CLIPS[-1] * torch.linspace(1e-3, 1, len(CLIPS[-1]))
    encoder, convolutions = LogMel(LogMelConfig(dim=8, blocks=1)), Convolutions(TINY["wavlm"])
    with torch.no_grad():
        weight, shift = convolutions.folded(wave)
        spectrum, first = encoder.log_mel(wave), exact_linear(wave, weight, shift, torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(encoder.log_mel(wave), spectrum)
            assert torch.equal(convolutions.folded(wave)[0], weight)
            assert torch.equal(exact_linear(wave, weight, shift, torch.float32), first)
        halves = exact_linear(wave, weight, shift, torch.bfloat16).float()
    rounded_once = first.bfloat16().float()
    assert (halves - first).abs().max() < 1.5 * (rounded_once - first).abs().max()


def test_every_head_stays_in_its_range() -> None:
    raw = torch.linspace(-50, 50, 101)[:, None].expand(-1, 4)
    out = bounded(raw, [Head(*h) for h in HEADS])
    assert out[:, 0].min() >= 1
    assert out[:, 0].max() <= 5
    assert out[:, 1].min() >= 0
    assert torch.equal(out[:, 2], raw[:, 2])
    assert out[:, 3].max() <= 2
    assert (out.diff(dim=0) >= 0).all()


@pytest.mark.parametrize(
    ("waves", "message"),
    [
        ([], "empty"),
        ([torch.zeros(0)], "samples >= 1"),
        ([torch.zeros(2, 100)], r"expected shape \(samples,\)"),
    ],
)
def test_wrong_batches_are_told(waves: list[torch.Tensor], message: str) -> None:
    model = MosModel(ModelConfig(TINY["logmel"], dim=64, layers=1, attention_heads=4, feedforward=96))
    with pytest.raises(ModelError, match=message):
        model(waves)
