"""What can be set: nonsense is refused with the name of the field, before torch is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqa_model.errors import ModelError
from sqa_model.training.config import BatchConfig, LossConfig, NetConfig, OptimConfig


@pytest.mark.parametrize(
    ("field", "value"),
    [("huber_delta", 0.0), ("rank", -0.1), ("rank_margin", -0.1), ("weights", {"mos": -1.0})],
)
def test_nonsense_losses_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ModelError, match=f"loss.{field}"):
        LossConfig(**{field: value})  # type: ignore[arg-type]
    LossConfig(rank=0.0, rank_margin=0.0, weights={"mos": 0.0})


@pytest.mark.parametrize(
    ("field", "value"), [("seconds", 0), ("clips", 0), ("micro_seconds", -1.0), ("seconds", float("nan"))]
)
def test_nonsense_sizes_of_batches_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ModelError, match=f"batch.{field}"):
        BatchConfig(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("layer_decay", 0.9),
        ("freeze_updates", 1),
        ("freeze_epochs", 1),
        ("layers_per_epoch", 1),
        ("lora_rank", 8),
    ],
)
def test_how_a_backbone_learns_is_refused_where_it_does_not(field: str, value: float) -> None:
    with pytest.raises(ModelError, match=rf"optim\.{field}: found {value}, but the backbone never learns"):
        OptimConfig(**{field: value})  # type: ignore[arg-type]
    OptimConfig(**{field: value}, unfreeze=1)  # type: ignore[arg-type]


def test_mistakes_are_told_before_torch_is_loaded(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from sqa_model.errors import ModelError
from sqa_model.training.config_text import load_config
from sqa_model.training.run_folder import check_run
try:
    check_run(Path({str(tmp_path)!r}), load_config("mini", overrides=["data.train=nowhere.jsonl"]))
except ModelError as error:
    print(error)
sys.exit("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "data.train: no file matches 'nowhere.jsonl'" in done.stdout


def test_heads_and_dropout_are_the_parents_unless_they_are_set() -> None:
    assert (NetConfig().heads, NetConfig().dropout) == (("mos",), 0.1)
    assert (NetConfig(init="x").heads, NetConfig(init="x").dropout) == (None, None)


def test_beside_init_other_fields_of_the_network_are_refused() -> None:
    for field in ({"dim": 16}, {"pretrained": "x"}, {"sizes": {"dim": 16}}, {"normalize": True}):
        with pytest.raises(
            ModelError, match=rf"model\.{next(iter(field))}: the network is that of model.init = x"
        ):
            NetConfig(init="x", **field)  # type: ignore[arg-type]


def test_the_default_model_gets_its_lasting_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert NetConfig(init="default").init == "default-2"
    assert NetConfig(init="default-1").init == "default-1"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default").mkdir()  # what lies here comes first, as for predict
    assert NetConfig(init="default").init == "default"
