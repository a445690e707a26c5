"""Two clips compared: by the published formula, in any company, each clip encoded once."""

import json
from collections.abc import Iterator

import pytest
import torch
from sqa_model import ModelConfig, ModelError, MosModel
from sqa_model.network.comparison import CLASSES, TIE, A, B, Comparison, ComparisonConfig, Encoded
from sqa_model.network.logmel import LogMelConfig
from sqa_model.network.wavlm import WavLMConfig
from torch import Tensor, nn

BACKBONES = {
    "logmel": LogMelConfig(dim=32, blocks=2),
    "wavlm": WavLMConfig(dim=96, layers=3, heads=4, feedforward=128, channels=64),
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


PAIRS = [(0, 1), (1, 0), (2, 1), (0, 3), (3, 3), (2, 0)]


def small(backbone: str = "logmel", **sizes: object) -> MosModel:
    torch.manual_seed(0)
    config = ModelConfig(
        BACKBONES[backbone],
        dim=64,
        layers=2,
        attention_heads=4,
        feedforward=96,
        comparison=ComparisonConfig(**sizes),
    )
    model = MosModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.comparison.named_parameters():  # type: ignore[union-attr]
            # far from its beginning, where biases are 0 and attention is nearly even
            parameter.add_(torch.randn_like(parameter) * (0.1 if "proj" in name else 0.2))
    return model


def noise(samples: int) -> Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(samples)) * 0.1


CLIPS = [noise(n) for n in (8_000, 4_321, 401, 13_333)]


def by_definition(model: MosModel, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Two clips' frames (frames, dim) compared by torch's own attention, padded as a batch of the reference is."""
    head = model.comparison
    assert head is not None
    torch_attention = nn.MultiheadAttention(64, head.heads, batch_first=True).eval()
    torch_attention.load_state_dict(
        {k: v for k, v in head.state_dict().items() if k.startswith(("in_proj", "out_proj"))}
    )
    longest = max(len(a), len(b)) + 7
    query, key = (nn.functional.pad(x, (0, 0, 0, longest - len(x)), value=9.0)[None] for x in (a, b))
    padding = torch.arange(longest)[None] >= len(b)
    heard, _ = torch_attention(query, key, key, key_padding_mask=padding)
    mean = heard[0, : len(a)].mean(0)
    return head.regression(mean)[0], head.classification(mean)


@pytest.mark.parametrize("heads", [1, 4])
def test_by_the_published_formula(heads: int) -> None:
    model = small(attention_heads=heads)
    with torch.inference_mode():
        encoded = model.encode(CLIPS)
        clips = encoded.frames.split(encoded.lengths)
        found = model.compare(encoded, PAIRS)
        assert found.cmos.shape == (len(PAIRS),)
        assert found.classes.shape == (len(PAIRS), 3)
        for i, (a, b) in enumerate(PAIRS):
            cmos, classes = by_definition(model, clips[a], clips[b])
            assert abs(found.cmos[i] - cmos) < 1e-5
            assert (found.classes[i] - classes).abs().max() < 1e-5
    assert found.cmos.std() > 1e-3, "pairs must differ for this test to mean anything"
    assert (found.probabilities().sum(1) - 1).abs().max() < 1e-6
    assert [CLASSES[i] for i in (A, B, TIE)] == ["a", "b", "tie"]


@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_a_pair_does_not_depend_on_its_company(backbone: str) -> None:
    model = small(backbone)
    with torch.inference_mode():
        together = model.compare(model.encode(CLIPS), PAIRS)
        backwards = model.compare(model.encode(CLIPS[::-1]), [(3 - a, 3 - b) for a, b in PAIRS[::-1]])
        for i, (a, b) in enumerate(PAIRS[:4]):
            alone = model.compare(model.encode([CLIPS[a], CLIPS[b]]), [(0, 1)])
            loud = model.compare(model.encode([noise(20_000) * 9, CLIPS[a], CLIPS[b]]), [(0, 1), (1, 2)])
            for cmos, classes in (
                (alone.cmos[0], alone.classes[0]),
                (loud.cmos[1], loud.classes[1]),
                (backwards.cmos[-1 - i], backwards.classes[-1 - i]),
            ):
                assert abs(together.cmos[i] - cmos) < 1e-5
                assert (together.classes[i] - classes).abs().max() < 1e-5


def test_scores_and_pairs_share_one_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mixed batches: single clips are scored from the same frames, and each clip goes through the encoder once."""
    model = small()
    heard: list[int] = []
    forward = type(model.backbone).forward

    def counted(self: nn.Module, waves: list[Tensor]) -> object:
        heard.extend(map(len, waves))
        return forward(self, waves)

    monkeypatch.setattr(type(model.backbone), "forward", counted)
    with torch.inference_mode():
        encoded = model.encode(CLIPS)
        scores, compared = model.scores(encoded), model.compare(encoded, PAIRS * 5)
        assert heard == [len(clip) for clip in CLIPS]
        assert torch.equal(scores, model(CLIPS))
        again = model.encode_features(model.features(CLIPS))
        assert (again.frames - encoded.frames).abs().max() < 1e-5
        assert again.lengths == encoded.lengths
    assert len(compared.cmos) == 5 * len(PAIRS)


def test_gradients_reach_both_clips_and_all_weights() -> None:
    model = small().train()
    waves = [noise(n).requires_grad_() for n in (5_000, 8_000)]
    found = model.compare(model.encode(waves), [(0, 1)])
    (found.cmos.sum() + found.classes[:, TIE].sum()).backward()
    for wave in waves:
        assert wave.grad is not None
        assert wave.grad.abs().max() > 0
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == name.startswith("metrics."), name


def test_what_is_rounded_and_what_is_not() -> None:
    model = small("wavlm")
    rounded = model.inference_copy(torch.device("cpu"), torch.bfloat16)
    types = {n: p.dtype for n, p in rounded.named_parameters() if n.startswith("comparison.")}
    assert types.pop("comparison.in_proj_weight") == types.pop("comparison.in_proj_bias") == torch.bfloat16
    assert set(types.values()) == {torch.float32}
    with torch.inference_mode():
        exact, other = (m.compare(m.encode(CLIPS), PAIRS) for m in (model, rounded))
    assert 0 < (exact.cmos - other.cmos).abs().max() < 0.1


def test_it_is_part_of_the_configuration() -> None:
    config = small(attention_heads=2, tie_below=0.25).config
    assert ModelConfig.from_json(config.to_json()) == config
    # a model without one is described as before there was any, so that its fingerprint stays
    assert "comparison" not in ModelConfig().to_json()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"attention_heads": 3}, r"dim 64 is not a multiple of comparison\.attention_heads 3"),
        ({"attention_heads": 0}, "comparison: attention_heads is 0; expected"),
        ({"heads": 4}, "comparison: unknown heads; expected attention_heads, tie_below"),
        ({"tie_below": "x"}, "comparison: tie_below must be a number"),
        ([4], r"comparison is \[4\]; expected a ComparisonConfig, or None"),
        (True, "comparison is True"),
    ],
)
def test_wrong_configurations(record: object, message: str) -> None:
    text = json.dumps({"dim": 64, "comparison": record})
    with pytest.raises(ModelError, match=message):
        ModelConfig.from_json(text)


def test_what_cannot_be_compared() -> None:
    model = small()
    encoded = model.encode(CLIPS[:2])
    for pairs, message in (
        ([], "no pairs"),
        ([(0, 2)], r"pair \(0, 2\)"),
        ([(-1, 0)], "of the batch's 2 clips"),
    ):
        with pytest.raises(ModelError, match=message):
            model.compare(encoded, pairs)
    plain = MosModel(ModelConfig(BACKBONES["logmel"], dim=64, layers=0))
    with pytest.raises(ModelError, match="no comparative head"):
        plain.compare(plain.encode(CLIPS[:2]), [(0, 1)])


def test_frames_alone_can_be_compared() -> None:
    """The head needs no model: frames of any source do."""
    torch.manual_seed(1)
    head = Comparison(8, ComparisonConfig(attention_heads=2))
    found = head(Encoded(torch.randn(7, 8), [3, 4]), [(0, 1), (1, 0)])
    assert found.cmos.isfinite().all()
