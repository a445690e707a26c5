"""Checkpoints of UrgentMOS: its numbers, absolute and comparative; what ours cannot be is said; nothing is executed.

The way back, `to_urgent_mos`, is tested here, too: by what is read again, and by the plain computation.
"""

import copy
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import transformers
from published import SMALL
from published import publish as publish_baseline
from published import reference as baseline
from published_successor import METRICS, Successor, publish, settings, successor
from sqa_model import CheckpointError, Head, ModelConfig, ModelError, MosModel, load, save
from sqa_model.checkpoint.locate import check_name, locate
from sqa_model.checkpoint.names import hugging_face_weights, wavlm_weights
from sqa_model.checkpoint.to_urgent_mos import their_config, their_weights, write_urgent_mos
from sqa_model.checkpoint.urgent_mos import urgent_mos_config
from sqa_model.network.comparison import ComparisonConfig
from sqa_model.network.logmel import LogMelConfig
from sqa_model.network.wavlm import WavLM, WavLMConfig

PAIRS = [(0, 1), (1, 0), (2, 1), (2, 2), (0, 3)]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def theirs() -> Successor:
    return successor()


@pytest.fixture(scope="module")
def published(theirs: Successor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(theirs, tmp_path_factory.mktemp("published"))


def clips(*seconds: float) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(round(16_000 * s), generator=generator) * 0.1 for s in seconds]


def require_equal(theirs: Successor, ours: MosModel, waves: list[torch.Tensor], within: float = 1e-5) -> None:
    """Every absolute and comparative output of both, ours in one batch."""
    with torch.inference_mode():
        encoded = ours.encode(waves)
        scores, compared = ours.scores(encoded), ours.compare(encoded, PAIRS)
        for wave, found in zip(waves, scores, strict=True):
            assert (found - theirs(wave)).abs().max() < within
        for i, (a, b) in enumerate(PAIRS):
            cmos, classes = theirs.compare(waves[a], waves[b])
            assert abs(compared.cmos[i] - cmos) < within
            assert (compared.classes[i] - classes).abs().max() < within
    assert compared.cmos.std() > 1e-3


def test_every_output_is_that_of_the_published_computation(theirs: Successor, published: Path) -> None:
    ours = load(published)
    assert ours.config.names == tuple(METRICS)
    assert ours.config.heads[2:] == (Head("pesq", 1, 4.6), Head("mcd", 0), Head("sdr"))
    assert ours.config.comparison == ComparisonConfig(attention_heads=4, tie_below=0.5)
    assert not ours.training
    require_equal(theirs, ours, clips(0.3, 0.73, 1.6, 0.1))


@pytest.mark.slow
def test_every_output_at_full_size(tmp_path: Path) -> None:
    full = successor(seed=3, layers=6, small=False)
    require_equal(full, load(publish(full, tmp_path)), clips(1.0, 5.0, 12.0, 0.1), within=2e-5)


def test_every_way_to_name_it(published: Path, tmp_path: Path) -> None:
    weights = published / "model.pt"
    for source in (published, str(published), weights):
        assert locate(source) == (weights, weights)
        check_name(source)
    # a run of its training, and a configuration beside it that is of something else
    folder = publish(successor(seed=1), tmp_path / "exp", "model_1000.pt")
    publish(successor(seed=1), folder, "model_2000.pt", update=2000)
    assert locate(folder)[1].name == "model_2000.pt"
    publish(successor(seed=1), folder, "model_last.pt", update=2500)
    (folder / "config.yaml").write_text("x: 1\n")
    assert locate(folder)[1].name == "model_last.pt"
    assert load(folder).config.names == tuple(METRICS)
    publish(successor(seed=1), folder, "model_3000.pt", update=3000)
    with pytest.raises(CheckpointError, match=r"model_3000\.pt beside it is newer"):
        load(folder)


def test_from_the_hub(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def download(repo: str, name: str, **_: object) -> str:
        asked.append(name)
        if name != "model.pt":
            raise huggingface_hub.errors.EntryNotFoundError(name)
        return str(published / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert load("urgent-challenge/urgent-mos").config.names == tuple(METRICS)
    assert asked == ["config.json", "config.yaml", "model.pt"]


def test_a_baseline_without_its_configuration_is_no_successor(tmp_path: Path) -> None:
    folder = publish_baseline(baseline(layers=1, **SMALL), tmp_path)
    (folder / "config.yaml").unlink()
    for source in (folder, folder / "model.pt"):
        with pytest.raises(CheckpointError, match=r"--config FILE"):
            check_name(source)


def test_there_and_back_is_exact(theirs: Successor, published: Path, tmp_path: Path) -> None:
    first = load(published)
    ours = load(save(first, tmp_path / "ours"))
    assert ours.config == first.config
    back = write_urgent_mos(ours, tmp_path / "back")
    again = load(back)
    assert again.config == first.config
    assert again.fingerprint() == first.fingerprint()
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    # its own code would take it: all names, all shapes, the same numbers
    content = torch.load(back / "model.pt", weights_only=True)
    assert content.keys() == torch.load(published / "model.pt", weights_only=True).keys()
    fresh = successor(seed=9)
    fresh.load_state_dict(content["model"], strict=True)
    with torch.inference_mode():
        for wave in clips(0.4, 1.1):
            assert (fresh(wave) - theirs(wave)).abs().max() < 1e-5
        for found, wanted in zip(
            fresh.compare(*clips(0.4, 1.1)), theirs.compare(*clips(0.4, 1.1)), strict=True
        ):
            assert (found - wanted).abs().max() < 1e-5


def test_what_is_written_is_configured_as_published() -> None:
    """All that says how the network is built, from nothing but our configuration."""
    config = ModelConfig(
        heads=[(name, about.get("min"), about.get("max")) for name, about in METRICS.items()],
        comparison=ComparisonConfig(),
        layers=2,
    )
    found, wanted = their_config(config), settings(2)
    assert found["category2metrics"] == wanted["category2metrics"]
    assert found["dataloader"]["sample_rate"] == 16_000

    heads = [("mos", 1, 5), ("mos_overall", 1, 5)]
    two = their_config(ModelConfig(heads=heads, comparison=ComparisonConfig()))["category2metrics"]["mos"]
    assert [name for name, about in two.items() if "comparative_score" in about] == ["mos_overall"]

    def require(found: Any, wanted: Any, where: str) -> None:
        if isinstance(wanted, dict):
            for key, value in wanted.items():
                # how it trains is not our matter
                if key != "use_symmetric_preference":
                    require(found[key], value, f"{where}.{key}")
        else:
            assert found == wanted, where

    require(found["model"], wanted["model"], "model")


def test_an_encoder_there_and_back() -> None:
    """WavLM in Hugging Face's names: transformers computes the same, and we read the same bits again."""
    config = WavLMConfig(dim=96, layers=3, heads=4, feedforward=128, channels=64)
    torch.manual_seed(0)
    ours = WavLM(config).state_dict()
    theirs = hugging_face_weights(ours, config)
    model = transformers.WavLMModel(transformers.WavLMConfig(**SMALL)).eval()
    model.load_state_dict(theirs, strict=True)
    for name, value in wavlm_weights(theirs, config).items():
        assert torch.equal(value, ours.pop(name)), name
    assert not ours
    with pytest.raises(ModelError, match="a pre-norm WavLM"):
        hugging_face_weights({}, WavLMConfig(pre_norm=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": LogMelConfig(dim=32, blocks=1)}, "expected a WavLM base"),
        ({"pooling": "attention"}, "the mean as pooling"),
        ({"trim": True}, "no trim"),
        ({"layers": 0}, "at least one layer"),
        ({"normalize": True}, "no normalize"),
        ({"distributions": {"mos": "ordinal"}}, "no head that predicts a distribution"),
        ({"backbone": WavLMConfig(dim=96, layers=3, heads=4)}, "of these sizes there is none"),
        ({"heads": [("a.b", 1, 5)]}, "no name with a dot; found 'a.b'"),
    ],
)
def test_what_cannot_be_written(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        their_config(ModelConfig(**changes))


def test_a_model_that_compares_nothing(tmp_path: Path) -> None:
    torch.manual_seed(0)
    origin = {"converted_from": "urgent_mos", "encoder": "microsoft/wavlm-base-plus"}
    config = ModelConfig(
        WavLMConfig(dim=96, layers=1, heads=4, feedforward=64, channels=32), layers=1, extra=origin
    )
    model = MosModel(config)
    again = load(write_urgent_mos(model, tmp_path))
    assert again.config.comparison is None
    assert again.config.names == ("mos",)
    assert not [name for name in their_weights(model) if "comparative" in name]
    write_urgent_mos(model, tmp_path, dtype="bfloat16")
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    assert {value.dtype for value in content["model"].values()} == {torch.bfloat16}


def edited(published: Path, folder: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    content = torch.load(published / "model.pt", weights_only=True)
    content["config"] = copy.deepcopy(content["config"])
    edit(content)
    folder.mkdir(exist_ok=True)
    torch.save(content, folder / "model.pt")
    return folder


def network(content: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = content["config"]["model"]
    return part


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda c: network(c).update(shared_encoder={"_target_": "torch.nn.Identity"}),
            "there is a shared_encoder",
        ),
        (lambda c: network(c)["category2metrics"].update(noise={}), "has 2 entries, .*expected one category"),
        (lambda c: network(c).update(category2metrics=None), "category2metrics is None; expected an object"),
        (
            lambda c: network(c)["category2metrics"]["mos"]["scoreq"].update(comparative_score=True),
            "clips are compared by mos_overall, scoreq; expected one metric",
        ),
        (
            lambda c: network(c)["category2metrics"]["mos"]["scoreq"].update(max=9),
            r"head scoreq: max is 5\.0 in the weights, 9\.0 in the config",
        ),
        (
            lambda c: network(c)["category2metrics"]["mos"]["scoreq"].update(max=True),
            r"head scoreq: max is 5\.0 in the weights, None in the config",
        ),
        (
            lambda c: network(c)["metric2absolute_score_predictor"]["pooler_cfg"].update(
                _target_="x.AttentivePooling"
            ),
            "pooler_cfg is 'x.AttentivePooling'; expected MeanPooling",
        ),
        (
            lambda c: network(c)["metric2comparative_score_predictor"].update(encoder_cfg={}),
            "metric2comparative_score_predictor has an encoder of its own",
        ),
        (
            lambda c: network(c)["category2encoder"]["encoder_cfg"]["encoder_layer"].update(
                activation="gelu"
            ),
            "not post-norm with relu",
        ),
        (
            lambda c: network(c)["category2encoder"]["encoder_cfg"]["encoder_layer"].update(norm_first=True),
            "not post-norm with relu",
        ),
        (
            lambda c: network(c)["category2encoder"]["encoder_cfg"].update(
                norm={"_target_": "torch.nn.Identity"}
            ),
            "not post-norm with relu",
        ),
        (
            lambda c: network(c)["feature_extractor"].update(feature_extractors=[{}, {}]),
            "expected one speech encoder",
        ),
        (
            lambda c: network(c)["feature_extractor"]["feature_extractors"][0].update(
                model_name="Qwen/Audio"
            ),
            "model_name is 'Qwen/Audio'; expected a WavLM",
        ),
        (
            lambda c: network(c)["feature_extractor"]["feature_extractors"][0].update(
                layer_aggregation=False
            ),
            "expected the weighted sum of all layers",
        ),
        (lambda c: c["model"].update({"category2encoder.mos.norm.weight": torch.ones(768)}), "have no place"),
        (lambda c: c["model"].update({"other.weight": torch.ones(1)}), "'other.weight' have no place"),
        (
            lambda c: c["model"].pop("metric2comparative_score_predictor.mos_overall.regression_head.weight"),
            r"1 are missing, such as comparison\.regression\.weight",
        ),
        (
            lambda c: c["model"].pop("feature_extractor.feature_extractors.0.weights"),
            "checkpoint has no 'feature_extr",
        ),
        (
            lambda c: network(c)["category2encoder"]["encoder_cfg"]["encoder_layer"].update(nhead="many"),
            "attention_heads must be a whole number",
        ),
        (lambda c: c.update(model=[1]), "expected a dict with the weights under 'model'"),
        (lambda c: c["config"].pop("category2metrics"), "--config FILE"),
    ],
)
def test_networks_that_ours_cannot_be(
    published: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        load(edited(published, tmp_path, edit))
    assert len(str(caught.value)) < 600


def test_what_their_configuration_says_counts_and_what_it_leaves_out_is_their_default(
    published: Path,
) -> None:
    content = torch.load(published / "model.pt", weights_only=True, mmap=True)
    told, weights = content["config"], content["model"]
    plain = urgent_mos_config(told, weights)
    layer = told["model"]["category2encoder"]["encoder_cfg"]["encoder_layer"]
    predictor = told["model"]["metric2comparative_score_predictor"]
    (extractor,) = told["model"]["feature_extractor"]["feature_extractors"]
    for part in (layer, predictor, told["dataloader"]):
        for key in ("nhead", "dropout", "num_heads", "min_cmos_for_tie", "sample_rate"):
            part.pop(key, None)
    assert urgent_mos_config(told, weights) == plain
    layer.update(nhead=4, dropout=0.2)
    predictor.update(num_heads=2, min_cmos_for_tie=1.0)
    told["dataloader"].update(sample_rate=8_000)
    extractor.update(model_name="microsoft/WavLM-Large")
    found = urgent_mos_config(told, weights)
    assert (found.attention_heads, found.dropout, found.sample_rate) == (4, 0.2, 8_000)
    assert found.comparison == ComparisonConfig(2, tie_below=1.0)
    # as the feature extractors published with them do
    assert (plain.normalize, found.normalize) == (False, True)


class Bomb:
    def __reduce__(self) -> tuple:
        return os.system, ("touch EXECUTED",)


@pytest.mark.parametrize("where", ["config", "model"])
def test_nothing_in_it_is_executed(
    published: Path, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = edited(published, tmp_path, lambda c: c[where].update(x=Bomb()))
    with pytest.raises(CheckpointError, match="would execute code"):
        load(folder)
    # names that its own loader would import and call are text to us
    hostile = {"_target_": "os.system", "command": "touch EXECUTED"}
    folder = edited(published, tmp_path, lambda c: c["config"].update(trainer=hostile))
    assert load(folder).config.names == tuple(METRICS)
    assert not (tmp_path / "EXECUTED").exists()
