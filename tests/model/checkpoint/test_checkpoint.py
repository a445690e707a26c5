"""Checkpoints: published ones give the published numbers, ours survive a round trip, nothing is executed."""

import itertools
import json
import math
import os
import pickle
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest
import torch
import torchaudio
import transformers
from published import METRICS, SMALL, Reference, publish, reference
from safetensors.torch import load_file, save_file
from sqa_model import CheckpointError, ModelConfig, MosModel, load, save
from sqa_model.checkpoint import locate
from sqa_model.checkpoint.hyperpyyaml import read_hyperpyyaml
from sqa_model.checkpoint.locate import push_to_hub
from sqa_model.checkpoint.ours import load_backbone
from sqa_model.network.logmel import LogMelConfig
from sqa_model.network.wavlm import WavLM, WavLMConfig


@pytest.fixture(scope="module")
def theirs() -> Reference:
    return reference(layers=2, **SMALL)


@pytest.fixture(scope="module")
def published(theirs: Reference, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(theirs, tmp_path_factory.mktemp("published"))


@pytest.fixture
def tiny() -> MosModel:
    torch.manual_seed(0)
    return MosModel(ModelConfig(LogMelConfig(dim=32, blocks=1), dim=32, layers=1, feedforward=32)).eval()


def wave(seconds: float) -> torch.Tensor:
    return torch.randn(round(16_000 * seconds), generator=torch.Generator().manual_seed(1)) * 0.1


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
def test_heads_equal_the_reference_computation(theirs: Reference, published: Path) -> None:
    ours = load(published)
    assert ours.config.names == tuple(METRICS)
    assert not ours.training
    with torch.inference_mode():
        for seconds in (0.1, 0.73, 2.0, 6.1):
            x = wave(seconds)
            want = theirs(x[None], [len(x)])
            assert (ours([x]) - want).abs().max() < 5e-6
            assert want.isfinite().all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
def test_heads_equal_the_reference_at_full_size(tmp_path: Path) -> None:
    full = reference(seed=3)
    ours = load(publish(full, tmp_path))
    with torch.inference_mode():
        clips = [wave(seconds) for seconds in (0.1, 5.0, 20.0)]
        alone = [full(x[None], [len(x)])[0] for x in clips]
        for x, expected in zip(clips, alone, strict=True):
            assert (ours([x])[0] - expected).abs().max() < 5e-6
        together = ours(clips[::-1]).flip(0)
        assert (together - torch.stack(alone)).abs().max() < 5e-6
        # which the reference itself does not keep: in company the same clips move
        padded = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
        assert (full(padded, [len(x) for x in clips]) - torch.stack(alone)).abs()[:, :5].max() > 0.05


def test_a_large_backbone_takes_normalised_waveforms(published: Path, tmp_path: Path) -> None:
    assert not load(published).config.normalize
    text = (published / "config.yaml").read_text(encoding="utf-8")
    (tmp_path / "config.yaml").write_text(text.replace("wavlm-base-plus", "wavlm-large"), encoding="utf-8")
    (tmp_path / "model.pt").write_bytes((published / "model.pt").read_bytes())
    assert load(tmp_path).config.normalize


def test_weights_are_of_the_commit_of_their_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def download(hub_id: str, names: tuple[str, ...]) -> Path:
        asked.append(hub_id)
        return Path("cache") / COMMIT / names[0]

    monkeypatch.setattr(locate, "_download", download)
    assert locate.locate("me/model@main") == (
        Path("cache", COMMIT, "config.json"),
        Path("cache", COMMIT, "model.safetensors"),
    )
    assert asked == ["me/model@main", f"me/model@{COMMIT}"]


def test_conversion_keeps_every_number(published: Path, tmp_path: Path) -> None:
    before = load(published)
    save(before, tmp_path / "ours")
    after = load(tmp_path / "ours")
    assert after.config == before.config
    for name, value in before.state_dict().items():
        assert torch.equal(value, after.state_dict()[name]), name
    assert sorted(p.name for p in (tmp_path / "ours").iterdir()) == ["config.json", "model.safetensors"]


def test_every_way_to_name_a_local_model(tiny: MosModel, published: Path, tmp_path: Path) -> None:
    folder = save(tiny, tmp_path)
    for source in (folder, str(folder), folder / "model.safetensors", folder / "config.json"):
        assert load(source).config == tiny.config
    for source in (published / "model.pt", published / "config.yaml"):
        assert load(source).config.names == tuple(METRICS)


def test_editions_of_the_model_in_the_package(
    tiny: MosModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(locate, "EDITIONS", tmp_path)
    for number in ("2", "10"):
        save(tiny, tmp_path / number)
    of = {name: locate.locate(name)[1].parent.name for name in (None, "default", "default-2", "default-10")}
    assert of == {None: "10", "default": "10", "default-2": "2", "default-10": "10"}
    for wrong in ("default-1", "default-3"):
        for ask in (locate.locate, locate.check_name):
            with pytest.raises(CheckpointError, match=f"{wrong}: .*expected default-2 or default-10"):
                ask(wrong)
    for no_edition in (Path("default-2"), "./default-2", "default-02", "Default-2"):
        with pytest.raises(CheckpointError, match="no such file or folder"):
            load(no_edition)
    # what exists here comes first, as it does before the Hub
    assert locate.locate(str(save(tiny, Path("default-2"))))[1] == Path("default-2", "model.safetensors")
    assert locate.locate(None)[1].parent.name == "10"


def test_half_precision_on_disk(tiny: MosModel, tmp_path: Path) -> None:
    save(tiny, tmp_path, dtype=torch.float16)
    size = (tmp_path / "model.safetensors").stat().st_size
    numbers = sum(p.numel() for p in tiny.parameters())
    assert size < 2 * numbers + 10_000
    loaded = load(tmp_path)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    x = wave(1)
    with torch.inference_mode():
        assert (loaded([x]) - tiny([x])).abs().max() < 1e-3


def test_published_yaml_is_read_as_data(published: Path) -> None:
    settings = read_hyperpyyaml(published / "config.yaml")
    assert settings["ssl_model_name"] == "microsoft/wavlm-base-plus"
    assert settings["model"]["feature_extractor"]["model_name"] == "microsoft/wavlm-base-plus"
    assert settings["model"]["encoder"]["num_layers"] == 2
    assert settings["metrics"]["sdr"] == {"min": float("-inf"), "max": float("inf")}
    assert settings["dataloader"]["metrics"] == settings["metrics"]


@pytest.mark.parametrize(
    "text",
    [
        "x: !apply:os.system ['touch EXECUTED']",
        "x: !new:subprocess.Popen [['touch', 'EXECUTED']]",
        "x: !!python/object/apply:os.system ['touch EXECUTED']",
        "x: !!python/name:os.system ''",
        "x: !include:other.yaml",
        "x: !applyref:os.system ['touch EXECUTED']",
    ],
)
def test_yaml_never_executes(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text("# a line\n" + text, encoding="utf-8")
    if "!apply:" in text.replace("object/apply:", "") or "!new:" in text:
        read_hyperpyyaml(path)  # HyperPyYAML's own tags: data
    else:
        with pytest.raises(CheckpointError, match=r"config\.yaml:2: .*nothing but plain values is read"):
            read_hyperpyyaml(path)
    assert not (tmp_path / "EXECUTED").exists()


class Bomb:
    def __reduce__(self) -> tuple:
        return os.system, ("touch EXECUTED",)


def test_pickles_never_execute(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_bytes((published / "config.yaml").read_bytes())
    torch.save({"model": {"x": Bomb()}}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="would execute code") as told:
        load(tmp_path)
    assert "weights_only" not in str(told.value)  # torch advises to set it to False
    (tmp_path / "model.pt").write_bytes(pickle.dumps({"model": Bomb()}))
    with pytest.raises(CheckpointError, match=r"model\.pt: "):
        load(tmp_path)
    assert not (tmp_path / "EXECUTED").exists()


def damaged(published: Path, folder: Path, change: str) -> None:
    """A copy of the published checkpoint with one thing wrong."""
    text = (published / "config.yaml").read_text(encoding="utf-8")
    content = torch.load(published / "model.pt", weights_only=True)
    weights = content["model"]
    if change == "head":
        text = text.replace("utmos:", "wvmos:")
    elif change == "order":
        text = text.replace("scoreq:", "SWAP:").replace("utmos:", "scoreq:").replace("SWAP:", "utmos:")
    elif change == "range":
        text = text.replace("max: 5.0", "max: 4.0", 1)
    elif change == "backbone":
        text = text.replace("wavlm-base-plus", "hubert-base")
    elif change == "activation":
        text = text.replace('"relu"', '"gelu"')
    elif change in ("null rate", "rate"):
        text = re.sub("sample_rate: .*", f"sample_rate: {'null' if change == 'null rate' else 0}", text)
    elif change == "null heads":
        text = re.sub("nhead: .*", "nhead: null", text)
    elif change == "dropout":
        text = re.sub("dropout: .*", "dropout: 2", text)
    elif change == "no bound":
        del weights["metric2act.mos.max_value"]
    elif change == "layer":
        weights["encoder.layers.999999999.x"] = torch.zeros(1)
    elif change == "claims":
        weights["encoder.layers.0.linear1.weight"] = torch.zeros(1).expand(10**6, 10**6)
    elif change == "flat":
        weights["feature_extractor.model.feature_projection.projection.weight"] = torch.zeros(9)
    elif change == "nan":
        weights["metric_proj.weight"][0, 0] = math.nan
    elif change == "shape":
        weights["metric_proj.weight"] = weights["metric_proj.weight"][:, :100]
    elif change == "missing":
        del weights["feature_extractor.model.encoder.layers.2.attention.k_proj.weight"]
    elif change == "no model":
        content = {"state": weights}
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    torch.save(content, folder / "model.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("head", "the weights have the heads .*'utmos'.*the configuration .*'wvmos'"),
        ("order", "the weights have the heads"),
        ("range", "head mos: max is 5.0 in the weights, 4.0 in the configuration"),
        ("backbone", "hubert-base'; expected a WavLM"),
        ("activation", "post-norm with relu"),
        ("shape", r"do not fit the configuration.*metrics.weight.*\[8, 100\]"),
        ("null rate", "sample_rate must be a whole number"),
        ("rate", "sample_rate is 0"),
        ("null heads", "attention_heads must be a whole number"),
        ("dropout", "dropout is 2"),
        ("no bound", "no 'metric2act.mos.max_value'"),
        ("layer", "layers is 1000000000"),
        ("claims", "linear1.weight claims .* numbers, more than the file holds"),
        ("flat", "do not fit the configuration"),
        ("nan", "1 of the .* numbers of metrics.weight are NaN"),
        ("missing", "layers.2.attention.k_proj.weight"),
        ("no model", "under 'model'"),
    ],
)
def test_damaged_checkpoints_are_told(change: str, message: str, published: Path, tmp_path: Path) -> None:
    damaged(published, tmp_path, change)
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path)


def test_missing_and_broken_models_are_told(tiny: MosModel, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no model in this folder; expected config\.json"):
        load(tmp_path)
    with pytest.raises(CheckpointError, match="no such file or folder, and not a Hub id"):
        load(tmp_path / "absent")
    with pytest.raises(CheckpointError, match="not a Hub id"):
        load("./absent/model")
    (tmp_path / "song.mp3").touch()
    with pytest.raises(CheckpointError, match="not a model"):
        load(tmp_path / "song.mp3")
    save(tiny, tmp_path)
    weights = tmp_path / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:1_000])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load(tmp_path)
    weights.write_bytes(content)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"dim": 32,', '"dim": 64,', 1))
    with pytest.raises(CheckpointError, match="do not fit"):
        load(tmp_path)
    config.write_text("{}{")
    with pytest.raises(CheckpointError, match=r"config\.json: .*not JSON"):
        load(tmp_path)
    weights.unlink()
    with pytest.raises(CheckpointError):
        load(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tiny: MosModel, value: float, tmp_path: Path) -> None:
    with torch.no_grad():
        tiny.norm.weight[3] = value
    save(tiny, tmp_path)
    with pytest.raises(CheckpointError, match=r"1 of the 32 numbers of norm.weight are NaN or infinite"):
        load(tmp_path)


def test_weights_that_do_not_fit_are_named(tiny: MosModel, tmp_path: Path) -> None:
    save(tiny, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    changed = {**weights, "more": torch.zeros(1), "norm.bias": torch.zeros(5)}
    del changed["mix"]
    save_file(changed, tmp_path / "model.safetensors")
    with pytest.raises(
        CheckpointError,
        match=r"1 differ in shape: norm.bias is \[5\], expected \[32\]; 1 are missing, such as mix; "
        "1 are unknown, such as more",
    ):
        load(tmp_path)
    save_file({**weights, "mix": torch.zeros(1, dtype=torch.int64)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"mix holds torch.int64; expected floating-point"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("layers", 10**9, "layers is 1000000000; expected"),
        ("dim", 10**12, "dim is 1000000000000; expected"),
        ("dim", 0, "dim is 0"),
        ("attention_heads", 10**5, "attention_heads is 100000"),
        ("dim", 16_384, "norm.weight|weights do not fit"),
        ("layers", 256, "3060 are missing|are missing, such as"),
    ],
)
def test_hostile_sizes_cost_nothing(
    tiny: MosModel, name: str, value: int, message: str, tmp_path: Path
) -> None:
    save(tiny, tmp_path)
    config = tmp_path / "config.json"
    record = json.loads(config.read_text())
    record[name] = value
    config.write_text(json.dumps(record))
    began = time.process_time()
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path)
    assert time.process_time() - began < 10  # minutes and gigabytes before
    record[name] = "x" * 2_000_000
    config.write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match="expected a configuration of at most"):
        load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_pipes_are_not_waited_for(tiny: MosModel, name: str, tmp_path: Path) -> None:
    save(tiny, tmp_path)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(CheckpointError, match=r"not a regular file|no model in this folder"):
        load(tmp_path)
    with pytest.raises(CheckpointError, match=r"not a regular file|no such file"):
        load(tmp_path / "model.safetensors")


def test_files_of_a_checkpoint_follow_the_umask(tiny: MosModel, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        save(tiny, tmp_path)
    finally:
        os.umask(before)
    if os.name == "posix":
        assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o644}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{y}: &{y} [{','.join(['*' + x] * 9)}]\n" for x, y in itertools.pairwise("abcdefghi")
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "aliases expand to more than 100,000 values"),
        (BOMB.replace("i: ", "metrics: "), "aliases expand"),
        ("a: &a [*a]", "aliases expand to more"),
        ("a: &a {b: *a}", "aliases expand to more"),
        ("a: " + "[" * 20_000, "nested too deep|cannot be read"),
        ("[1, 2]", "expected names and values, found list"),
        ("a: [", "cannot be read"),
        ("a: 2026-13-45", "cannot be read"),
        ("x" * 1_100_000, "expected a configuration of at most"),
    ],
)
def test_hostile_yaml_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_hyperpyyaml(path)


def test_references_that_multiply_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    lines = ["a: [" + ",".join("x" * 9) + "]"]
    path.write_text("\n".join([*lines, "b: [" + ",".join(["!ref <a>"] * 3) + "]"]))
    assert read_hyperpyyaml(path)["b"] == [["x"] * 9] * 3
    rows = [f"a{i}: [" + ",".join(["x"] * 900) + "]" for i in range(2)]
    rows.append("b: [" + ",".join(["!ref <a0>"] * 200) + "]")
    path.write_text("\n".join(rows))
    with pytest.raises(CheckpointError, match="aliases expand"):
        read_hyperpyyaml(path)


@pytest.mark.slow
def test_loading_imports_and_initialises_nothing(published: Path) -> None:
    code = (
        "import sys, sqa_model.inference.predictor, torch\n"
        "before = set(sys.modules); torch.manual_seed(0); state = torch.get_rng_state()\n"
        "sqa_model.load(sys.argv[1])\n"
        "assert torch.equal(state, torch.get_rng_state())\n"
        "print(len(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(published)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 40  # YAML's; normal numbers on the meta device would import 900


# --- the encoder alone ---


def test_backbone_from_hugging_face_and_torchaudio(tmp_path: Path) -> None:
    torch.manual_seed(2)
    small = WavLMConfig(dim=96, layers=3, heads=4, feedforward=128, channels=64)
    hf = transformers.WavLMModel(transformers.WavLMConfig(**SMALL)).eval()
    torch.save({f"wavlm.{k}": v for k, v in hf.state_dict().items()}, tmp_path / "pytorch_model.bin")
    ours = WavLM(small).eval()
    load_backbone(ours, tmp_path)
    x = wave(1.0)
    with torch.inference_mode():
        want = hf(x[None], output_hidden_states=True).hidden_states
        for got, expected in zip(ours([x]), want, strict=True):
            assert (got - expected[0]).abs().max() < 1e-4

    shapes = [(64, 10, 5)] + [(64, 3, 2)] * 4 + [(64, 2, 2)] * 2
    audio = torchaudio.models.wavlm_model(
        extractor_mode="group_norm",
        extractor_conv_layer_config=shapes,
        extractor_conv_bias=False,
        encoder_embed_dim=96,
        encoder_projection_dropout=0.1,
        encoder_pos_conv_kernel=128,
        encoder_pos_conv_groups=16,
        encoder_num_layers=3,
        encoder_num_heads=4,
        encoder_num_buckets=320,
        encoder_max_distance=800,
        encoder_attention_dropout=0.1,
        encoder_ff_interm_features=128,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.1,
        encoder_layer_norm_first=False,
        encoder_layer_drop=0.05,
        aux_num_out=None,
    ).eval()
    torch.save(audio.state_dict(), tmp_path / "wavlm.pth")
    load_backbone(ours, tmp_path / "wavlm.pth")
    with torch.inference_mode():
        want = audio.extract_features(x[None])[0]  # without the transformer's input
        for got, expected in zip(list(ours([x]))[1:], want, strict=True):
            assert (got - expected[0]).abs().max() < 1e-4

    with pytest.raises(CheckpointError, match="do not fit the backbone"):
        load_backbone(WavLM(WavLMConfig(layers=2, dim=64, heads=4)), tmp_path)
    with pytest.raises(CheckpointError, match="torchaudio has no such model"):
        load_backbone(ours, "torchaudio:WAVLM_HUGE")


# --- the Hub, served from loopback ---

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(published: Path) -> Iterator[str]:
    """An endpoint with one repository, me/model, that answers as the Hugging Face Hub does."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET(body=False)

        def do_GET(self, body: bool = True) -> None:
            parts = self.path.strip("/").split("/")  # me/model/resolve/<revision>/<file>
            known = parts[:3] == ["me", "model", "resolve"]
            path = published / parts[-1]
            found = known and path.is_file()
            self.send_response(200 if found else 404)
            content = path.read_bytes() if found else b""
            self.send_header("Content-Length", str(len(content)))
            if known:
                self.send_header("X-Repo-Commit", COMMIT)
            if found:
                self.send_header("ETag", f'"{path.stat().st_size:040x}"')
            else:
                self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def run_load(*sources: str, **env: str) -> list[str]:
    """What a fresh process says of `load(source)` for each."""
    code = (
        "import sys, sqa_model\n"
        "for source in sys.argv[1:]:\n"
        "    try: print('loaded', *sqa_model.load(source).config.names)\n"
        "    except sqa_model.ModelError as error: print('error', error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *sources],
        env={**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1", **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.slow
def test_hub_download_then_offline_cache(hub: str, tmp_path: Path) -> None:
    expected = f"loaded {' '.join(METRICS)}"
    pinned = f"me/model@{COMMIT}"
    model, again, other = run_load("me/model", pinned, "me/other", HF_ENDPOINT=hub, HF_HOME=str(tmp_path))
    assert (model, again) == (expected, expected)
    assert other.startswith("error me/other: the Hub does not give it")
    model, again, other = run_load("me/model", pinned, "me/other", HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    assert (model, again) == (expected, expected)
    assert "not in the local cache" in other


@pytest.mark.slow  # the Hub's client tries again for 20 s
def test_no_network(tmp_path: Path) -> None:
    (said,) = run_load("me/model", HF_ENDPOINT="http://127.0.0.1:9", HF_HOME=str(tmp_path))
    assert said.startswith("error me/model: not in the local cache, and the Hub cannot be reached")


def test_push_uploads_only_the_model(tiny: MosModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple] = []

    class Api:
        def create_repo(self, repo: str, *, exist_ok: bool) -> None:
            calls.append((repo, exist_ok))
            if repo == "not/mine":
                raise OSError("403 Forbidden")

        def upload_folder(self, *, repo_id: str, folder_path: Path, allow_patterns: list[str]) -> object:
            calls.append((repo_id, Path(folder_path), allow_patterns))
            return type("Commit", (), {"repo_url": f"https://hub/{repo_id}"})

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    folder = save(tiny, tmp_path)
    assert push_to_hub(folder, "me/model") == "https://hub/me/model"
    assert calls == [
        ("me/model", True),
        ("me/model", folder, ["config.json", "model.safetensors", "README.md"]),
    ]
    with pytest.raises(CheckpointError, match="not/mine: the Hub does not take it: 403"):
        push_to_hub(folder, "not/mine")
