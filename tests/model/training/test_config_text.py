"""Configs as text: presets, files, overrides, JSON, and what is wrong in them."""

import json
from pathlib import Path

import pytest
from sqa_data.labels import RANGES
from sqa_model.errors import ModelError
from sqa_model.training.config import NetConfig, RunConfig, TrainConfig
from sqa_model.training.config_text import differences, from_json, load_config, presets, to_json
from sqa_model.training.fields import ConfigError


@pytest.mark.parametrize("preset", presets())
def test_presets_load_and_survive_json(preset: str) -> None:
    config = load_config(preset)
    assert from_json(to_json(config)) == config
    assert config.model.heads is not None
    assert set(config.model.heads) <= set(RANGES) | {"mos_std"}


def test_what_a_run_records_is_not_what_was_asked_for() -> None:
    asked = load_config(
        "fine-tune", overrides=["model.init=runs/mine", "model.heads=mos", "model.dropout=0.2"]
    )
    alone = json.loads(to_json(asked))
    assert alone["model"] == {"heads": ["mos"], "dropout": 0.2, "init": "runs/mine"}
    record = {"model": {"heads": ["mos"], "dim": 200, "init": "runs/mine"}, "fine_tuned_from": {"name": "x"}}
    text = to_json(asked, record)
    assert json.loads(text)["model"]["dim"] == 200
    assert json.loads(text)["fine_tuned_from"] == {"name": "x"}
    assert from_json(text) == from_json(to_json(asked)) == asked


def test_old_configs_with_init_say_what_counted() -> None:
    """0.1.0 wrote the whole section, of which only `init` counted: the network and its heads were the parent's."""
    table = json.loads(to_json(load_config("mini", overrides=["model.dim=32"])))
    table["model"]["init"] = "runs/mine"
    assert from_json(json.dumps(table)).model == NetConfig(init="runs/mine")


def test_beside_init_a_preset_gives_way_and_what_is_set_is_refused(tmp_path: Path) -> None:
    config = load_config("universa-ext-5metric", overrides=["model.init=default-1", "model.heads=mos"])
    assert config.model == NetConfig(init="default-1", heads=("mos",))
    assert config.optim.warmup == 2500
    file = tmp_path / "my.toml"
    file.write_text('[model]\ninit = "default-1"\npooling = "mean"\n')
    with pytest.raises(
        ConfigError, match=r"model\.pooling: the network is that of model\.init = default-1.*leave"
    ):
        load_config(file=file)
    for field in ("dim=768", "backbone=logmel", "pretrained=none", "sizes.blocks=2", "trim=false"):
        with pytest.raises(
            ConfigError, match=rf"model\.{field.partition('=')[0].partition('.')[0]}: the network"
        ):
            load_config("mini", overrides=["model.init=x", f"model.{field}"])
    assert load_config("mini", file, ["model.init=none"]).model.pooling == "mean"


def test_the_reference_recipes() -> None:
    five, many, one = (load_config(f"universa-ext-{n}") for n in ("5metric", "22metric", "mos-only"))
    assert five.model.heads == ("mos", "dnsmos_ovrl", "scoreq", "utmos", "nisqa_mos")
    assert len(many.model.heads) == 22
    assert one.model.heads == ("mos",)
    assert (five.epochs, many.epochs, one.epochs) == (5, 5, 20)
    for config in (five, many, one):
        assert config.seed == 42
        assert (config.batch.seconds, config.batch.clips) == (9_600_000 / 16_000, 128)
        assert (config.optim.lr, config.optim.warmup, config.optim.clip) == (3e-5, 2500, 1.0)
        assert (config.optim.schedule, config.optim.unfreeze, config.loss.kind) == ("linear", 0, "mse")
        assert config.eval.every == 1000


def test_overrides_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(
        'epochs = 7\n[model]\nheads = ["mos", "pesq"]\n[optim]\nlr = 0.5\nwarmup = 3\n[loss.weights]\npesq = 0.5\n'
    )
    config = load_config(
        "mini", file, ["optim.lr=1e-4", "run.device=cpu", "optim.ema=none", "loss.weights.mos=2"]
    )
    assert (config.epochs, config.optim.warmup, config.optim.lr) == (7, 3, 1e-4)
    assert config.run.device == "cpu"
    assert config.optim.ema is None
    assert config.loss.weights == {"pesq": 0.5, "mos": 2.0}
    assert load_config(overrides=["run.device = cpu"]).run.device == "cpu"
    assert load_config(overrides=["data.train=a.jsonl"]).data.train == ("a.jsonl",)
    assert load_config(overrides=['data.train=["a", "b"]']).data.train == ("a", "b")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optim.lr=fast", r"optim\.lr: found 'fast', expected a finite number"),
        ("optim.lr=true", r"optim\.lr: found True, expected a finite number"),
        ("optim.lr=nan", r"optim\.lr: found nan"),
        ("optim.lr=-1", r"optim\.lr: found -1.0, expected a number above 0"),
        ("optim.learning_rate=1", r"optim\.learning_rate: no such field"),
        ("optim.warm_up=1", r"did you mean 'warmup'\?"),
        ("epochs=2.5", r"epochs: found 2.5, expected a whole number"),
        ("epochs=true", r"epochs: found True, expected a whole number"),
        ("precision=fp8", r"precision: found 'fp8', expected one of fp32, bf16, fp16"),
        ("optim.betas=[0.9]", r"optim\.betas: found \[0.9\], expected a list of 2"),
        ("eval.metric=srcc", r"eval\.metric: found 'srcc', expected one of system_mse"),
        (
            "eval.metric=accuracy",
            r"eval\.metric: found 'accuracy', which is of pairs alone.*set eval\.head to cmos",
        ),
        ("data.max_seconds=9999", r"data\.max_seconds: found 9999.0, expected no more than batch.seconds"),
        ("optim=3", r"optim: found 3, expected a table"),
        ("loss.rank=-1", r"loss\.rank"),
        ("loss.kind=l3", r"loss\.kind: found 'l3', expected one of mse, l1, huber, nll"),
        ("loss.weights.pesk=1", r"loss\.weights\.pesk: found 1\.0, expected a head of the model: mos"),
        ("eval.head=pesq", r"eval\.head: found 'pesq', expected a head of the model: mos"),
        ('model.heads=["mos", "mos_std"]', r"'mos_std' is only learned with loss\.kind"),
        ("run.device=tpu", r"run\.device: found 'tpu', expected auto, cpu, cuda or cuda:<number>"),
        (
            "optim.unfreeze=0",
            r"optim\.unfreeze: found 0, expected -1 .*, since logmel has no pretrained weights",
        ),
        (
            "optim.lora_rank=4",
            r"optim\.lora_rank: found 4, expected 0, since logmel has no pretrained weights",
        ),
        ("optim.lora_targets=[]", r"optim\.lora_targets: found \(\), expected at least one pattern"),
        ("optim.layer_decay=1.5", r"optim\.layer_decay: found 1\.5, expected a number in \(0, 1\]"),
        (
            "optim.freeze_epochs=40",
            r"optim\.freeze_epochs: found 40, expected fewer than the epochs .*\(40\)",
        ),
        ("data.cache=x", r"data\.cache: needs a backbone that is frozen .*, found optim\.unfreeze = -1"),
        ("seed=-1", r"seed: found -1"),
        (f"optim.lr=1{'0' * 400}", r"optim\.lr: found 1000"),
        ("data.weights.bvcc=-1", r"data\.weights\.bvcc"),
        ("lr", r"--set lr: expected name=value"),
        ("data.hold_out=1", r"data\.hold_out: found 1\.0, expected a number in \[0, 1\)"),
        ("data.missing_heads=warn", r"data\.missing_heads: found 'warn', expected one of error, drop, keep"),
        ("eval.weights.bvcc=-1", r"eval\.weights\.bvcc: found -1\.0, expected 0 or more"),
        ("model.heads=[]", r"model\.heads: found \(\), expected at least one label"),
        ("data.train=3", r"data\.train: found 3, expected a list"),
    ],
)
def test_a_wrong_value_is_reported_with_its_field(override: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_config("mini", overrides=[override])


def test_unknown_preset_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"preset: found 'maxi', expected one of fine-tune, mini"):
        load_config("maxi")
    with pytest.raises(ConfigError, match="cannot read the config"):
        load_config(file=tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_text("epochs = = 3")
    with pytest.raises(ConfigError, match=r"broken\.toml: not TOML"):
        load_config(file=tmp_path / "broken.toml")
    with pytest.raises(ConfigError, match="not JSON"):
        from_json("{")


def test_only_fields_that_change_the_result_count_as_differences() -> None:
    assert differences(TrainConfig(), TrainConfig(run=RunConfig(device="cpu", workers=9))) == []
    other = load_config(overrides=["optim.lr=1", "data.weights.bvcc=2"])
    assert differences(TrainConfig(), other) == ["data.weights.bvcc: None -> 2.0", "optim.lr: 3e-05 -> 1.0"]
