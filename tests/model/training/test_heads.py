"""Which heads a run trains: those with labels; what becomes of the others is one rule."""

import pytest
from sqa_model.training.config import DataConfig, LossConfig, NetConfig, TrainConfig
from sqa_model.training.heads import Heads, choose_heads

PARENT = ("mos", "mos_std", "pesq")


def choose(
    labels: str, asked: str = "", missing: str | None = None, loss: str = "mse", parent: tuple = PARENT
) -> Heads:
    config = TrainConfig(
        model=NetConfig(init="x" if parent else None, heads=tuple(asked.split()) or None),
        data=DataConfig(missing_heads=missing),  # type: ignore[arg-type]
        loss=LossConfig(kind=loss),
    )
    return choose_heads(config, parent or None, set(labels.split()))


@pytest.mark.parametrize(
    ("given", "names", "frozen"),
    [
        (choose("mos pesq"), "mos pesq", ""),
        (choose("mos pesq", loss="nll"), "mos mos_std pesq", ""),
        (choose("mos"), "mos", ""),
        (choose("mos", missing="keep"), "mos pesq", "pesq"),
        # an error is left to whoever reads the clips, who knows what labels there are
        (choose("mos", missing="error"), "mos pesq", ""),
        # what is asked for by name is missed
        (choose("mos", "mos noisiness"), "mos noisiness", ""),
        (choose("mos", "noisiness mos", missing="drop"), "mos", ""),
        (choose("mos", "noisiness mos", missing="keep"), "noisiness mos", "noisiness"),
        (choose("mos noisiness", "noisiness mos"), "noisiness mos", ""),
        # an uncertainty goes with its head
        (choose("pesq", loss="nll"), "pesq", ""),
        (choose("pesq", loss="nll", missing="keep"), "mos mos_std pesq", "mos mos_std"),
        # without any label all stay, and are missed
        (choose(""), "mos mos_std pesq", ""),
        # a fresh network, as the published baseline has it
        (choose("mos", "mos pesq", parent=()), "mos pesq", ""),
        (choose("mos", "mos pesq", missing="keep", parent=()), "mos pesq", "pesq"),
        (choose("mos", "mos pesq", missing="drop", parent=()), "mos", ""),
    ],
)
def test_the_rule(given: Heads, names: str, frozen: str) -> None:
    assert given.names == tuple(names.split())
    assert given.frozen == tuple(frozen.split())


def test_where_only_pairs_are_learned_from_heads_stay_as_they_are() -> None:
    for missing in (None, "drop", "keep"):
        data = DataConfig(train=("x",), pairs=("y",), missing_heads=missing)  # type: ignore[arg-type]
        config = TrainConfig(model=NetConfig(init="default-1"), data=data)
        found = choose_heads(config, ["mos", "pesq"], set())
        assert (found.names, found.frozen) == (("mos", "pesq"), ("mos", "pesq"))
        assert found.told[0] == "head 'mos' learns nothing: no training clip has this label"


def test_what_is_not_plain_is_told() -> None:
    assert choose("mos pesq", "mos pesq").told == ()
    told = choose("mos", missing="keep").told
    assert [line.partition(":")[0] for line in told] == [
        "head 'mos_std' is left out",
        "head 'pesq' learns nothing",
    ]
    assert "how far 'mos' was off before this run" in told[0]
