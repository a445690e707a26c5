"""Metrics with weights from a hub: the real programs, small stand-in weights with the published layout."""

import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import types
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from loopback import Loopback, serve
from sqa_data import DataError, Utterance, read_manifest, write_manifest
from sqa_data.labellers import Signals, from_hub
from sqa_data.labellers.from_hub import edits

RATE = 16000

torch = pytest.importorskip("torch")

TINY: dict[str, Any] = {
    "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16, "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip


@pytest.fixture
def clip(tmp_path: Path) -> Signals:
    rng = np.random.default_rng(0)
    clean = (0.1 * rng.standard_normal(RATE)).astype(np.float32)
    sf.write(tmp_path / "clean.wav", clean, RATE, subtype="FLOAT")
    sf.write(tmp_path / "noisy.wav", clean + 0.05 * rng.standard_normal(RATE), RATE, subtype="FLOAT")
    return Signals(tmp_path / "noisy.wav", tmp_path / "clean.wav")


@pytest.fixture
def world() -> Iterator[Loopback]:
    with serve() as world:
        yield world


def test_scoreq(clip: Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Loopback) -> None:
    """The real package and its own download, of a stand-in network: the energy of the wave."""
    if importlib.util.find_spec("scoreq") is None:
        pytest.skip("scoreq is not installed")
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    wave = helper.make_tensor_value_info("wave", onnx.TensorProto.FLOAT, [1, None])
    mos = helper.make_tensor_value_info("mos", onnx.TensorProto.FLOAT, [1, 1])
    nodes = [
        helper.make_node("Mul", ["wave", "wave"], ["square"]),
        helper.make_node("ReduceSum", ["square"], ["mos"], keepdims=1),
    ]
    graph = helper.make_graph(nodes, "stand-in", [wave], [mos])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    zenodo = "/records/15739280/files/adapt_nr_telephone.onnx"
    world.files[zenodo] = model.SerializeToString()
    monkeypatch.setenv("HOME", str(tmp_path))
    fetch = urllib.request.urlretrieve

    def from_loopback(url: str, *rest: Any, **options: Any) -> Any:
        return fetch(url.replace("https://zenodo.org", world.url), *rest, **options)

    monkeypatch.setattr(urllib.request, "urlretrieve", from_loopback)
    for name in ("scoreq", "scoreq.scoreq"):  # its import opens the weights already
        monkeypatch.delitem(sys.modules, name, raising=False)
    expected = pytest.approx(float(np.sum(clip.samples(RATE) ** 2)), rel=1e-4)
    for _ in range(2):
        assert from_hub.scoreq("cpu", False)(clip)["scoreq"] == expected
    assert [path for path, *_ in world.log] == [zenodo]  # once; then it is in the cache


def test_weights_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib.error import URLError

    from sqa_data.annotate.workers import load
    from sqa_data.labellers import adapter_of

    def offline(device: str, fast: bool) -> object:
        raise URLError("Name or service not known")

    monkeypatch.setattr(from_hub, "utmos", offline)
    with pytest.raises(DataError, match=r"utmos: cannot load its weights: .*Name or service not known"):
        load(adapter_of("utmos"), "cpu", False)


def test_one_process_at_a_time_downloads_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The others wait and find them whole."""
    import tempfile

    from sqa_data.annotate.workers import load
    from sqa_data.atomic import is_locked
    from sqa_data.labellers import adapter_of

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    held: list[bool] = []

    def downloading(device: str, fast: bool) -> object:
        held.extend(is_locked(lock.with_suffix("")) for lock in tmp_path.glob("sqa-data-weights-*.lock"))
        return dict

    monkeypatch.setattr(from_hub, "utmos", downloading)
    load(adapter_of("utmos"), "cpu", False)
    assert held == [True]


def test_utmos(clip: Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Loopback) -> None:
    """The real torch.hub and its own download, of a stand-in repository."""
    code = (
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, wave, rate):\n"
        "        assert wave.shape[0] == 1 and wave.dim() == 2\n"
        "        return wave.square().mean(1) * rate\n"
        "def utmos22_strong(progress=True):\n    return Net()\n"
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("tarepan-SpeechMOS-0123456/", "")
        file.writestr("tarepan-SpeechMOS-0123456/hubconf.py", code)
    world.files["/tarepan/SpeechMOS/zipball/v1.2.0"] = archive.getvalue()
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setattr(
        torch.hub, "_git_archive_link", lambda *names: f"{world.url}/{names[0]}/{names[1]}/zipball/{names[2]}"
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    expected = pytest.approx(float(np.mean(clip.samples(RATE) ** 2) * RATE), rel=1e-4)
    for _ in range(2):
        assert from_hub.utmos("cpu", False)(clip)["utmos"] == expected
    assert len(world.log) == 1


NISQA = {  # a small network with the published one's settings of spectrogram and layout
    "ms_sr": None, "ms_fmax": 20000, "ms_n_fft": 4096, "ms_hop_length": 0.01, "ms_win_length": 0.02, "ms_n_mels": 48,
    "ms_seg_length": 15, "ms_seg_hop_length": 4, "ms_max_segments": 1300, "ms_channel": None,
    "cnn_kernel_size": [3, 3], "cnn_c_out_1": 4, "cnn_c_out_2": 4, "cnn_c_out_3": 4, "cnn_dropout": 0.2,
    "cnn_pool_1": [24, 7], "cnn_pool_2": [12, 5], "cnn_pool_3": [6, 3],
    "td_sa_d_model": 8, "td_sa_nhead": 1, "td_sa_h": 8, "td_sa_num_layers": 1, "td_sa_dropout": 0.1,
    "pool_att_h": 8, "pool_att_dropout": 0.1,
}  # fmt: skip


def test_nisqa(clip: Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Loopback) -> None:
    """The real torchmetrics and its own download, of a small random network; overall MOS is the first value."""
    package = pytest.importorskip("torchmetrics.functional.audio.nisqa")
    torch.manual_seed(0)
    network = package._NISQADIM(NISQA).eval()
    weights = io.BytesIO()
    torch.save({"args": NISQA, "model_state_dict": network.state_dict()}, weights)
    path = "/gabrielmittag/NISQA/raw/refs/heads/master/weights/nisqa.tar"
    monkeypatch.setattr(package, "NISQA_DIR", str(tmp_path / "nisqa"))
    fetch = package.requests.get
    monkeypatch.setattr(
        package.requests, "get", lambda url: fetch(url.replace("https://github.com", world.url))
    )

    world.files[path] = b"<html>sign in to this network first</html>"
    package._load_nisqa_model.cache_clear()
    with pytest.raises(DataError, match=r"nisqa\.tar does not hold weights; remove it"):
        from_hub.nisqa("cpu", False)
    (tmp_path / "nisqa" / "nisqa.tar").unlink()

    world.files[path] = weights.getvalue()
    try:
        found = from_hub.nisqa("cpu", False)(clip)["nisqa_mos"]
    finally:
        package._load_nisqa_model.cache_clear()
    spectrum = package._get_librosa_melspec(clip.samples(RATE)[None], RATE, NISQA)
    windows, count = package._segment_specs(torch.from_numpy(spectrum), NISQA)
    with torch.no_grad():
        assert found == pytest.approx(float(network(windows, count.expand(1))[0, 0]), abs=1e-5)


def test_sigmos(clip: Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIGMOS_DIR", raising=False)
    with pytest.raises(
        DataError, match=r"sigmos\.py not found; clone https://github\.com/microsoft/SIG-Challenge"
    ):
        from_hub.sigmos("cpu", False)
    (tmp_path / "sigmos.py").write_text(
        "class SigMOS:\n"
        "    def __init__(self, model_dir, model_type=None): self.folder = model_dir\n"
        "    def run(self, audio, sr):\n"
        "        assert audio.ndim == 1 and sr == 16000\n"
        "        names = 'COL DISC LOUD NOISE REVERB SIG OVRL'.split()\n"
        "        return {'MOS_' + name: 1.0 + index / 2 for index, name in enumerate(names)}\n"
    )
    monkeypatch.setenv("SIGMOS_DIR", str(tmp_path))
    found = from_hub.sigmos("cpu", False)(clip)
    assert found["sigmos_ovrl"] == 4.0
    assert found["sigmos_col"] == 1.0
    assert len(found) == 7


def test_spksim(clip: Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for espnet's class (the package is too large for the tests): first spectral bins as embedding."""

    class Speech2Embedding:
        spk_model = torch.nn.Identity()

        @classmethod
        def from_pretrained(cls, model_tag: str, device: str) -> "Speech2Embedding":
            assert model_tag == from_hub.SPEAKERS
            return cls()

        def __call__(self, signal: np.ndarray) -> object:
            return torch.from_numpy(np.abs(np.fft.rfft(signal))[None, :100])

    module = types.ModuleType("espnet2.bin.spk_inference")
    module.Speech2Embedding = Speech2Embedding  # type: ignore[attr-defined]
    for name in ("espnet2", "espnet2.bin"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "espnet2.bin.spk_inference", module)
    similarity = from_hub.spksim("cpu", False)(clip)["spksim"]
    one, other = (np.abs(np.fft.rfft(x))[:100] for x in clip.pair(RATE))
    assert similarity == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=1e-5)


@pytest.fixture
def phoneme_model(tmp_path: Path) -> Path:
    """A tiny random wav2vec 2.0 with a CTC head, saved with the files of the published one."""
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    torch.manual_seed(0)
    tokens = ["<pad>", "<s>", "</s>", "<unk>", "a", "b", "tʃ", "oː", "n", "ɪ"]
    config = Wav2Vec2Config(vocab_size=len(tokens), num_hidden_layers=1, pad_token_id=0, **TINY)
    model = Wav2Vec2ForCTC(config)
    model.lm_head.weight.data *= 30
    model.save_pretrained(tmp_path / "phonemes")
    (tmp_path / "phonemes" / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    return tmp_path / "phonemes"


def test_lps(clip: Signals, phoneme_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the transformers package's own CTC decoding of the same network."""
    from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    monkeypatch.setattr(from_hub, "PHONEMES", str(phoneme_model))
    model = Wav2Vec2ForCTC.from_pretrained(phoneme_model).eval()
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    tokenizer = Wav2Vec2CTCTokenizer(
        str(phoneme_model / "vocab.json"), pad_token="<pad>", word_delimiter_token=" "
    )
    texts = []
    for signal in clip.pair(RATE):
        values = extractor(signal, return_tensors="pt", sampling_rate=RATE).input_values
        with torch.no_grad():
            ids = model(values).logits.argmax(-1)
        texts.append(tokenizer.batch_decode(ids)[0].replace(" ", ""))
    assert texts[0]
    expected = 1 - edits(texts[0], texts[1]) / len(texts[0])
    assert from_hub.lps("cpu", False)(clip)["lps"] == pytest.approx(expected)
    assert from_hub.lps("cpu", False)(Signals(clip.reference, clip.reference))["lps"] == 1.0


def test_sbert(clip: Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the definition, with a tiny random HuBERT."""
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(0)
    HubertModel(HubertConfig(num_hidden_layers=9, **TINY)).save_pretrained(tmp_path / "hubert")
    monkeypatch.setattr(from_hub, "SPEECH_BERT", str(tmp_path / "hubert"))
    expected = pytest.approx(_sbert(tmp_path / "hubert", clip), abs=1e-5)
    assert from_hub.sbert("cpu", False)(clip)["sbert"] == expected
    assert from_hub.sbert("cpu", False)(Signals(clip.reference, clip.reference))["sbert"] == pytest.approx(
        1.0, abs=1e-5
    )


def _sbert(model: Path, clip: Signals) -> float:
    """The definition: cosines of layer 8, the best of the reference for each frame of the clip, their mean."""
    from transformers import HubertModel

    network = HubertModel.from_pretrained(model).eval()
    with torch.no_grad():
        ref, gen = (
            network(torch.from_numpy(x[None]), output_hidden_states=True).hidden_states[8][0].numpy()
            for x in clip.pair(RATE)
        )
    cosine = (gen @ ref.T) / np.linalg.norm(gen, axis=1)[:, None] / np.linalg.norm(ref, axis=1)
    return float(cosine.max(1).mean())


@pytest.mark.parametrize("seed", range(5))
def test_edits_against_the_plain_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = ("".join(rng.choice(list("abc"), rng.integers(0, 7))) for _ in range(2))

    def plain(a: str, b: str) -> int:
        if not a or not b:
            return len(a) + len(b)
        return min(plain(a[1:], b) + 1, plain(a, b[1:]) + 1, plain(a[1:], b[1:]) + (a[0] != b[0]))

    assert edits(one, other) == plain(one, other)


@pytest.mark.slow  # two processes that import transformers
def test_text_metrics_from_the_hub(
    clip: Signals, phoneme_model: Path, tmp_path: Path, world: Loopback
) -> None:
    """`data annotate` downloads both models under their published names, then works from the cache offline."""
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(0)
    HubertModel(HubertConfig(num_hidden_layers=9, **TINY)).save_pretrained(tmp_path / "hubert")
    for name, folder in ((from_hub.PHONEMES, phoneme_model), (from_hub.SPEECH_BERT, tmp_path / "hubert")):
        world.models[name] = {path.name: path.read_bytes() for path in folder.iterdir()}
    row = Utterance(str(clip.path), "u", 1.0, {}, extra={"reference_path": str(clip.reference)})
    write_manifest(tmp_path / "data.jsonl", [row])

    def labels(out: str, **environment: str) -> dict[str, float]:
        arguments = ["data", "annotate", "data.jsonl", "-m", "lps,sbert", "-o", out]
        subprocess.run(
            [sys.executable, "-m", "sqa_cli", *arguments],
            env={**os.environ, "HF_HOME": str(tmp_path / "cache"), **environment},
            cwd=tmp_path,
            check=True,
        )
        return dict(read_manifest(tmp_path / out)[0].metrics)

    first = labels("first.jsonl", HF_ENDPOINT=world.url)
    assert {
        match[1] for path, _, status in world.log if status == 200 and (match := WEIGHTS.match(path))
    } == {
        from_hub.PHONEMES,
        from_hub.SPEECH_BERT,
    }
    assert set(first) == {"lps", "sbert"}
    assert first["sbert"] == pytest.approx(_sbert(tmp_path / "hubert", clip), abs=1e-5)
    assert labels("second.jsonl", HF_HUB_OFFLINE="1") == pytest.approx(first)


WEIGHTS = re.compile(r"/([^/]+/[^/]+)/resolve/[^/]+/model\.safetensors$")
