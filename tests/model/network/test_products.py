"""oneDNN multiplies only where it is as exact as fp32 and clearly faster."""

import itertools

import pytest
import torch
from sqa_model.network import products
from sqa_model.network.products import by_onednn, exact, gain, onednn_pays
from torch import Tensor


def setting() -> str:
    return torch.backends.mkldnn.matmul.fp32_precision


def test_the_switch_is_put_back() -> None:
    before = setting()
    with by_onednn():
        assert setting() == "bf16"
    assert setting() == before
    with by_onednn(wanted=False):
        assert setting() == before
    with pytest.raises(KeyError), by_onednn():
        raise KeyError
    assert setting() == before


@pytest.mark.parametrize(
    ("bits", "fits"), [(torch.float32, True), (torch.bfloat16, False), (torch.float16, False)]
)
def test_products_that_round_their_factors_are_not_exact(bits: torch.dtype, fits: bool) -> None:
    def multiply(x: Tensor, y: Tensor) -> Tensor:
        return x.to(bits).double() @ y.to(bits).double()

    assert exact(multiply) == fits


def test_no_number_is_not_exact() -> None:
    assert not exact(lambda x, y: (x @ y).fill_(float("nan")))


def test_the_gain_is_the_quotient_of_the_best_times() -> None:
    # seconds of each product: a warm-up round, then five rounds, torch's choice and oneDNN in turns
    seconds = [9, 9, *[5, 2], *[4, 3], *[6, 2], *[4, 2.5], *[8, 8]]
    ticks = itertools.chain.from_iterable((10 * i, 10 * i + s) for i, s in enumerate(seconds))
    before = setting()
    assert gain(lambda: float(next(ticks))) == 4 / 2
    assert setting() == before


@pytest.mark.parametrize(
    ("is_exact", "times", "pays"), [(True, 2.0, True), (True, 1.1, False), (False, 9.0, False)]
)
def test_both_must_hold(monkeypatch: pytest.MonkeyPatch, is_exact: bool, times: float, pays: bool) -> None:
    monkeypatch.setattr(products, "exact", lambda: is_exact)
    monkeypatch.setattr(products, "gain", lambda: times)
    assert onednn_pays.__wrapped__() == pays  # not what was measured before


def test_what_is_chosen_on_this_machine_multiplies_as_fp32() -> None:
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(70, 300, generator=generator), torch.randn(300, 50, generator=generator)
    with by_onednn(onednn_pays()):
        product = x @ y
    right = x.double() @ y.double()
    assert float((product - right).abs().max() / right.abs().max()) < 2e-5
