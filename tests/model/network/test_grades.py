"""Distributions over grades: by their formulas, their mean the score, saved, loaded and refused."""

from pathlib import Path

import numpy as np
import pytest
import sqa_model
import torch
from sqa_model import CheckpointError, ModelConfig, ModelError, MosModel, predict, save
from sqa_model.network.grades import GRADES, KINDS, Ordinal, mean_logit, spread_over
from sqa_model.network.logmel import LogMelConfig
from torch import Tensor

SIZES = {"dim": 16, "layers": 1, "feedforward": 16, "attention_heads": 2}
HEADS = [("mos", 1, 5), ("sdr", None, None), ("mos_sig", 1, 5)]


def model(**distributions: str) -> MosModel:
    torch.manual_seed(0)
    config = ModelConfig(LogMelConfig(dim=16, blocks=1), HEADS, distributions=distributions, **SIZES)
    made = MosModel(config).eval()
    with torch.no_grad():
        made.metrics.weight.mul_(3)
        for p in made.grades.parameters():
            p.add_(torch.randn_like(p) / 2)
    return made


def waves() -> list[Tensor]:
    return [0.1 * torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in (8_000, 16_000, 12_345)]


def test_ordinal_probabilities_are_differences_of_sigmoids() -> None:
    head = Ordinal(4).double()
    with torch.no_grad():
        head.thresholds.copy_(torch.tensor([-1.0, 0.3, -2.0, 1.5], dtype=torch.float64))
    z = torch.tensor([-30.0, -1.0, 0.0, 2.5, 30.0], dtype=torch.float64)
    found = head(z, torch.zeros(5, 4)).exp().detach().numpy()
    steps = np.log1p(np.exp([0.3, -2.0, 1.5]))
    thresholds = np.cumsum([-1.0, *steps])
    above = 1 / (1 + np.exp(-(z.numpy()[:, None] - thresholds)))
    expected = -np.diff(np.hstack([np.ones((5, 1)), above, np.zeros((5, 1))]), axis=1)
    assert found == pytest.approx(expected, abs=1e-12)
    assert found.sum(1) == pytest.approx(np.ones(5))


def test_ordinal_log_probabilities_stay_finite_far_out() -> None:
    z = torch.tensor([-60.0, 60.0], requires_grad=True)
    found = Ordinal(4)(z, torch.zeros(2, 4))
    found.sum().backward()
    assert found.isfinite().all()
    assert z.grad is not None
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_better_clip_has_a_higher_mean(kind: str) -> None:
    z = torch.linspace(-4, 4, 50)
    means = mean_logit(KINDS[kind](4)(z, torch.zeros(50, 4)))
    assert (means.diff() > 0).all()
    assert means[:25].flip(0).tolist() == pytest.approx((-means[25:]).tolist(), abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_score_is_the_mean_and_the_other_heads_are_as_before(kind: str) -> None:
    made = model(mos_sig=kind)
    encoded = made.encode(waves())
    outputs = made.outputs(encoded)
    chances = outputs.grades["mos_sig"].exp()
    assert outputs.scores[:, 2].tolist() == pytest.approx(
        (chances @ torch.arange(1.0, GRADES + 1)).tolist(), abs=1e-5
    )
    assert chances.sum(1).tolist() == pytest.approx([1, 1, 1])
    plain = model()
    plain.load_state_dict({k: v for k, v in made.state_dict().items() if not k.startswith("grades.")})
    assert torch.equal(outputs.scores[:, :2], plain(waves())[:, :2])
    assert torch.allclose(made(waves()), outputs.scores)


def test_a_mean_at_the_end_of_the_scale_is_finite_and_turns_back() -> None:
    sure = torch.tensor([[0.0, *[-1e4] * 4], [*[-1e4] * 4, 0.0]], requires_grad=True)
    found = 1 + 4 * mean_logit(sure).sigmoid()
    assert found.tolist() == pytest.approx([1, 5], abs=1e-4)
    logits = mean_logit(sure)
    assert logits.isfinite().all()
    assert torch.autograd.grad(logits.sum(), sure)[0].isfinite().all()
    for mean in torch.linspace(1.01, 4.99, 20):
        chances = spread_over(mean[None], 1.0, 5.0)
        assert 1 + 4 * mean_logit(chances.log()).sigmoid().item() == pytest.approx(mean.item(), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_models_say_the_same_alone_or_in_company(kind: str, tmp_path: Path) -> None:
    made = model(mos=kind)
    again = sqa_model.load(save(made, tmp_path))
    assert again.fingerprint() == made.fingerprint() != model().fingerprint()
    together = predict(waves(), again, 16_000, device="cpu", dtype="float32")
    for wave, row in zip(waves(), together, strict=True):
        assert predict(wave, made, 16_000, device="cpu", dtype="float32") == pytest.approx(row, abs=1e-5)
    rounded = predict(waves(), made, 16_000, device="cpu", dtype="bfloat16")
    assert rounded[0]["mos"] == pytest.approx(together[0]["mos"], abs=0.1)


def test_a_plain_model_is_as_it_was() -> None:
    assert "distributions" not in model().config.to_json()
    assert not any("grades" in name for name in model().state_dict())


def test_what_no_distribution_is_is_told(tmp_path: Path) -> None:
    for distributions, message in (
        ({"mos": "gaussian"}, "'mos' is 'gaussian'; expected 'ordinal' or 'categorical'"),
        ({"sdr": "ordinal"}, "'sdr' is no head with two finite ends"),
        ({"pesq": "ordinal"}, "'pesq' is no head"),
        (["mos"], r"distributions is \['mos'\]; expected an object"),
    ):
        with pytest.raises(ModelError, match=message):
            ModelConfig(LogMelConfig(), HEADS, distributions=distributions)  # type: ignore[arg-type]
    folder = save(model(mos="ordinal"), tmp_path)
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"ordinal"', '"categorical"'))
    with pytest.raises(CheckpointError, match="do not fit the configuration"):
        sqa_model.load(folder)
