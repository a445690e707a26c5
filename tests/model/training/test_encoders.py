"""Training on every published encoder: frozen, in part or as a whole, with a cache, LoRA and recomputed activations."""

from pathlib import Path

import pytest
import torch
from sqa_model import ModelError, Predictor
from sqa_model.training.build import build_model
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import from_json, load_config, to_json
from sqa_model.training.loop import train
from tiny_encoders import MODELS, publish
from tiny_training import TINY, lines, weights, write_corpus

# data2vec stands for all that transformers' convolutions and packed attention make of waveforms
SOME = ["data2vec", "w2v-bert", "whisper"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus and an encoder of every family."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("encoders")
    write_corpus(folder / "train", 6, seed=0)
    write_corpus(folder / "dev", 6, seed=1)
    for name in MODELS:
        publish(name, folder / name)
    return folder


def config(place: Path, encoders: str, *overrides: str) -> TrainConfig:
    """One update of a run; `encoders` by their folders."""
    names = ", ".join(f'"hf:{place}/{name}"' for name in encoders.split())
    return load_config(
        overrides=[
            *(item for item in TINY if "sizes" not in item),
            f"model.backbone=[{names}]",
            f"data.train={place}/train/data.jsonl",
            f"data.dev={place}/dev/data.jsonl",
            *("epochs=1", "batch.seconds=20", "run.threads=1", "optim.lr=1e-3", *overrides),
        ]
    )


def changed(settings: TrainConfig, run: Path) -> set[str]:
    """The backbone's weights that a run has changed."""
    before = build_model(settings).state_dict()
    after = weights(run)
    assert after.keys() == before.keys()
    return {n for n in after if n.startswith("backbone.") and not torch.equal(after[n], before[n])}


@pytest.mark.parametrize("name", MODELS)
def test_what_is_unfrozen_learns_and_nothing_else(place: Path, tmp_path: Path, name: str) -> None:
    def run(unfreeze: int) -> tuple[set[str], TrainConfig]:
        settings = config(place, name, f"optim.unfreeze={unfreeze}")
        assert train(settings, tmp_path / str(unfreeze)).updates == 1
        return changed(settings, tmp_path / str(unfreeze)), settings

    frozen, _ = run(0)
    assert frozen == set()
    part, settings = run(1)
    last = build_model(settings).backbone.stacks()[0][-1]
    assert len(part) >= len(list(last.parameters())) - 1  # a key's bias has no gradient: softmax ignores it
    assert all(".layers.2." in name for name in part)
    whole, settings = run(-1)
    learned = {n for n, p in build_model(settings).named_parameters() if p.requires_grad}
    kept = {n for n in learned if n.startswith("backbone.")} - whole
    assert all(n.endswith(("k_proj.bias", "linear_k.bias", "in_proj_bias")) for n in kept), kept


@pytest.mark.parametrize("name", SOME)
def test_other_ways_of_the_same_run(place: Path, tmp_path: Path, name: str) -> None:
    """Activations computed anew, micro-batches: the same weights; a cache: nearly."""
    still = ["model.dropout=0", "optim.unfreeze=2"]
    train(config(place, name, *still), tmp_path / "kept")
    train(config(place, name, *still, "run.checkpointing=true"), tmp_path / "recomputed")
    one, other = weights(tmp_path / "kept"), weights(tmp_path / "recomputed")
    assert all(torch.allclose(one[n], other[n], atol=1e-5) for n in one)

    frozen = ["model.dropout=0", "epochs=2", "data.max_seconds=1.0"]
    train(config(place, name, *frozen), tmp_path / "computed")
    train(config(place, name, *frozen, f"data.cache={tmp_path}/cache"), tmp_path / "cached")
    one, other = (
        [row["loss"] for row in lines(tmp_path / n) if "loss" in row] for n in ("computed", "cached")
    )
    assert one == pytest.approx(other, rel=0.02)  # half precision


@pytest.mark.parametrize(
    ("name", "dropouts"),
    [
        ("data2vec", "hidden activation attention"),
        ("w2v-bert", "conformer_conv"),  # whose clips are padded among each other
        ("whisper", ""),
    ],
)
def test_micro_batches_are_one_batch(place: Path, tmp_path: Path, name: str, dropouts: str) -> None:
    options = [
        "model.dropout=0",
        "optim.unfreeze=-1",
        *(f"model.sizes.{d}_dropout=0" for d in dropouts.split()),
    ]
    train(config(place, name, *options), tmp_path / "whole")
    train(config(place, name, *options, "batch.micro_seconds=1"), tmp_path / "parts")
    whole, parts = (lines(tmp_path / run)[0] for run in ("whole", "parts"))
    assert whole["loss"] == pytest.approx(parts["loss"], rel=1e-5)
    assert whole["grad_norm"] == pytest.approx(parts["grad_norm"], rel=1e-3)


@pytest.mark.parametrize("name", ["wav2vec2", "w2v-bert", "whisper"])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_lora_and_bfloat16(place: Path, tmp_path: Path, name: str, precision: str) -> None:
    settings = config(
        place,
        name,
        "optim.unfreeze=2",
        "optim.lora_rank=2",
        f"precision={precision}",
        'optim.lora_targets="*"',
    )
    train(settings, tmp_path)
    found = changed(settings, tmp_path)
    assert found
    assert all(".layers.1." in n or ".layers.2." in n for n in found)
    assert lines(tmp_path)[0]["grad_norm"] > 0


def test_a_run_with_two_encoders_is_resumed_and_predicts(place: Path, tmp_path: Path) -> None:
    settings = config(place, "wavlm whisper", "optim.unfreeze=1")
    assert from_json(to_json(settings)) == settings
    result = train(settings, tmp_path)
    found = changed(settings, tmp_path)
    assert {n.split(".")[2] for n in found} == {"0", "1"}
    assert train(settings, tmp_path).updates == result.updates
    predictor = Predictor(str(tmp_path / "best"), dtype="float32")
    scores = list(predictor.stream(str(path) for path in sorted((place / "dev").glob("*.wav"))))
    assert len({score.metrics["mos"] for score in scores}) == 6


def test_a_group_is_cached(place: Path, tmp_path: Path) -> None:
    frozen = ["epochs=2", "model.dropout=0", "data.max_seconds=1.0"]
    train(config(place, "w2v-bert wavlm", *frozen, f"data.cache={tmp_path}/cache"), tmp_path / "cached")
    train(config(place, "w2v-bert wavlm", *frozen), tmp_path / "computed")
    one, other = (
        [row["loss"] for row in lines(tmp_path / n) if "loss" in row] for n in ("computed", "cached")
    )
    assert one == pytest.approx(other, rel=0.02)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.backbone=hf:absent/folder/here"], "absent/folder/here: no such file or folder"),
        (["model.backbone=[]"], r"model\.backbone: found \(\), expected at least one encoder"),
        (["model.backbone=[logmel, hubert]", "model.pretrained=x"], r"model\.backbone"),
        (
            ['model.backbone=["hubert", "whisper"]', "model.pretrained=x"],
            r"model\.pretrained: found 'x', expected none",
        ),
        (
            ['model.backbone=["hubert", "whisper"]', "model.sizes.dim=3"],
            r"model\.sizes: found .*, expected none",
        ),
        (
            ["model.backbone=hubert", "model.sizes.dim=3"],
            r"model\.sizes\.dim: found 3, expected a field of hubert",
        ),
    ],
)
def test_encoders_that_cannot_be(place: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_model(load_config(overrides=overrides))


def test_weights_by_name_of_a_family(place: Path) -> None:
    """`model.backbone=whisper` with `model.sizes` and `model.pretrained`, as for WavLM."""
    sizes = ["d_model=32", "encoder_layers=3", "encoder_attention_heads=2", "encoder_ffn_dim=48"]
    sizes += ["num_mel_bins=20", "max_source_positions=100"]
    named = build_model(
        load_config(
            overrides=[
                "model.backbone=whisper",
                f"model.pretrained={place}/whisper",
                *(f"model.sizes.{size}" for size in sizes),
            ]
        )
    )
    published = build_model(config(place, "whisper"))
    assert named.config.backbone == published.config.backbone
    for one, other in zip(named.backbone.parameters(), published.backbone.parameters(), strict=True):
        assert torch.equal(one, other)


# preset -> the tiny encoders that stand in for its own
STAND_INS = {
    "wavlm-large": "wavlm-large",
    "wavlm-large-frozen": "wavlm-large",
    "xls-r-300m": "xls-r",
    "xls-r-1b": "xls-r",
    "two-encoders": "wavlm-large whisper",
}


@pytest.mark.parametrize("preset", STAND_INS)
def test_a_preset_starts_on_a_stand_in(place: Path, tmp_path: Path, preset: str) -> None:
    """All of the preset but for its encoders, the length of the run, and bf16, which not every processor multiplies."""
    names = ", ".join(f'"hf:{place}/{name}"' for name in STAND_INS[preset].split())
    data = [f"data.{part}={place}/{part}/data.jsonl" for part in ("train", "dev")]
    run = ["epochs=1", "precision=fp32", "run.threads=1", "run.device=cpu", "run.tensorboard=false"]
    settings = load_config(preset, overrides=[f"model.backbone=[{names}]", *data, *run])
    assert len(load_config(preset).model.backbone) == len(settings.model.backbone)
    assert train(settings, tmp_path).updates == 1
    layers = {n.split(".layers.")[1][0] for n in changed(settings, tmp_path)}
    assert layers == (set() if settings.optim.unfreeze == 0 else {"0", "1", "2"})
