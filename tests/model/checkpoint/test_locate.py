"""Names become files: experiment folders of the baseline, and configurations that lie elsewhere.

The other names (folders and files of ours, editions, the Hub) are in test_checkpoint.py.
"""

import shutil
from pathlib import Path

import pytest
import torch
from commands import run, small_model
from published import METRICS, SMALL, publish, reference
from sqa_model import CheckpointError, Predictor, load
from sqa_model.checkpoint import locate
from tiny_corpora import tone


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(reference(layers=1, **SMALL), tmp_path_factory.mktemp("published"))


def experiment(published: Path, folder: Path, *updates: int, last: int | None = None) -> Path:
    """The folder of a run: its configuration, checkpoints of these updates, and the last one; each of other weights."""
    folder.mkdir()
    shutil.copy(published / "config.yaml", folder)
    names = {f"model_{update}.pt": update for update in updates}
    names |= {} if last is None else {locate.LAST: last}
    for name, update in names.items():
        content = torch.load(published / "model.pt", weights_only=True)
        content["model"]["metric_proj.bias"] = content["model"]["metric_proj.bias"] + update / 1000
        torch.save({**content, "update": update}, folder / name)
    return folder


def bias(source: Path, config: Path | None = None) -> float:
    return float(load(source, config=config).metrics.bias.detach()[0])


def test_a_run_that_ended_is_its_last_checkpoint(published: Path, tmp_path: Path) -> None:
    folder = experiment(published, tmp_path / "exp", 1000, 2000, last=2500)
    first = bias(published)
    for source in (folder, folder / "config.yaml", folder / "model_last.pt"):
        assert bias(source) == pytest.approx(first + 2.5)
    assert bias(folder / "model_1000.pt") == pytest.approx(first + 1)
    # what was saved in the last update is the same, and no newer
    torch.save(torch.load(folder / "model_last.pt", weights_only=True), folder / "model_2500.pt")
    assert bias(folder) == pytest.approx(first + 2.5)


def test_a_run_that_goes_on_is_its_newest_checkpoint(published: Path, tmp_path: Path) -> None:
    """By number, not by name: model_9000 comes before model_10000. Other files are none."""
    folder = experiment(published, tmp_path / "exp", 9000, 10_000)
    (folder / "model_99999x.pt").write_bytes(b"")
    (folder / "model_best.pt").write_bytes(b"")
    assert locate.locate(folder) == (folder / "config.yaml", folder / "model_10000.pt")
    assert bias(folder) == pytest.approx(bias(published) + 10)


def test_a_last_checkpoint_that_is_stale_is_told(published: Path, tmp_path: Path) -> None:
    """The baseline goes on from it all the same, and drops what was learned since."""
    folder = experiment(published, tmp_path / "exp", 1000, 3000, last=2500)
    told = (
        r"model_last\.pt: of update 2,500, but model_3000\.pt beside it is newer.*name the file that you mean"
    )
    with pytest.raises(CheckpointError, match=told):
        load(folder)
    for name, update in (("model_last.pt", 2500), ("model_3000.pt", 3000)):
        assert bias(folder / name) == pytest.approx(bias(published) + update / 1000)


def test_a_published_name_comes_first(published: Path, tmp_path: Path) -> None:
    folder = experiment(published, tmp_path / "exp", 1000, last=2500)
    shutil.copy(published / "model.pt", folder)
    assert bias(folder) == bias(published)


def test_a_configuration_elsewhere(published: Path, tmp_path: Path) -> None:
    folder = experiment(published, tmp_path / "exp", 1000, last=2000)
    config = (folder / "config.yaml").rename(tmp_path / "universa.yaml")
    for source in (folder, folder / "model_last.pt"):
        told = (
            r"no such file; .*--config FILE" if source.is_file() else r"expected config\.json or .*--config"
        )
        with pytest.raises(CheckpointError, match=told):
            load(source)
        assert load(source, config=config).config.names == tuple(METRICS)
    assert bias(folder, config) == bias(folder / "model_last.pt", config)
    with pytest.raises(CheckpointError, match=r"absent\.yaml: no such file"):
        Predictor(folder / "model_1000.pt", config=tmp_path / "absent.yaml")
    with pytest.raises(CheckpointError, match=r"absent\.yaml: no such file"):
        locate.check_name("owner/name", tmp_path / "absent.yaml")

    clip = tmp_path / "clip.wav"
    clip.write_bytes(tone("clip", 16_000, 1.0))
    weights = folder / "model_1000.pt"
    shown = run("predict", clip, "--model", weights, "--config", config, "--json", "--dtype", "float32")
    run("convert", weights, tmp_path / "ours", "--config", config)
    again = run("predict", clip, "--model", tmp_path / "ours", "--json", "--dtype", "float32")
    assert shown == again
    assert '"mos"' in shown
    assert "no such file" in run("predict", clip, "--model", weights, code=1)


def test_a_configuration_of_ours_elsewhere(tmp_path: Path) -> None:
    folder = Path(small_model(tmp_path / "model"))
    before = load(folder)
    config = (folder / "config.json").rename(tmp_path / "mine.json")
    for source in (folder, folder / "model.safetensors"):
        assert load(source, config=config).fingerprint() == before.fingerprint()
    (tmp_path / "other.yaml").write_text("metrics: {}")
    with pytest.raises(CheckpointError, match=r"other\.yaml: .*not JSON"):
        load(folder, config=tmp_path / "other.yaml")


def test_a_configuration_elsewhere_executes_nothing(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "evil.yaml"
    text = (published / "config.yaml").read_text(encoding="utf-8")
    config.write_text("run: !apply:os.system ['touch EXECUTED']\n" + text, encoding="utf-8")
    assert load(published / "model.pt", config=config).config.names == tuple(METRICS)
    assert not (tmp_path / "EXECUTED").exists()
