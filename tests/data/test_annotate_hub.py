"""Metrics with weights from a hub: the real programs, small stand-in weights with the published layout."""

import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from sqa_data import DataError
from sqa_data.metrics import Clip, hub
from sqa_data.metrics.hub import edits

RATE = 16000

torch = pytest.importorskip("torch")


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    rng = np.random.default_rng(0)
    clean = (0.1 * rng.standard_normal(RATE)).astype(np.float32)
    sf.write(tmp_path / "clean.wav", clean, RATE, subtype="FLOAT")
    sf.write(tmp_path / "noisy.wav", clean + 0.05 * rng.standard_normal(RATE), RATE, subtype="FLOAT")
    return Clip(tmp_path / "noisy.wav", tmp_path / "clean.wav")


def test_scoreq(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real package, a stand-in network (mean power of the wave) where it keeps its weights."""
    if importlib.util.find_spec("scoreq") is None:  # its import already opens the weights
        pytest.skip("scoreq is not installed")
    onnx = pytest.importorskip("onnx")
    monkeypatch.setenv("HOME", str(tmp_path))
    weights = tmp_path / ".cache" / "scoreq" / "onnx-models" / "adapt_nr_telephone.onnx"
    weights.parent.mkdir(parents=True)
    helper = onnx.helper
    wave = helper.make_tensor_value_info("wave", onnx.TensorProto.FLOAT, [1, None])
    mos = helper.make_tensor_value_info("mos", onnx.TensorProto.FLOAT, [1, 1])
    nodes = [
        helper.make_node("Mul", ["wave", "wave"], ["square"]),
        helper.make_node("ReduceSum", ["square"], ["mos"], keepdims=1),
    ]
    graph = helper.make_graph(nodes, "stand-in", [wave], [mos])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), weights)
    samples = clip.samples(RATE)
    assert hub.scoreq("cpu", False)(clip)["scoreq"] == pytest.approx(float(np.sum(samples**2)), rel=1e-4)


def test_weights_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib.error import URLError

    from sqa_data.annotate import _load
    from sqa_data.metrics import adapter_of

    def offline(device: str, fast: bool) -> object:
        raise URLError("Name or service not known")

    monkeypatch.setattr(hub, "utmos", offline)
    with pytest.raises(DataError, match=r"utmos: cannot load its weights: .*Name or service not known"):
        _load(adapter_of("utmos"), "cpu", False)


def test_utmos(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real torch.hub, a stand-in repository in its cache."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    cached = tmp_path / "hub" / (hub.UTMOS_REPOSITORY.replace("/", "_").replace(":", "_"))
    cached.mkdir(parents=True)
    (cached / "hubconf.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, wave, rate):\n"
        "        assert wave.shape[0] == 1 and wave.dim() == 2\n"
        "        return wave.square().mean(1) * rate\n"
        "def utmos22_strong(progress=True):\n    return Net()\n"
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    found = hub.utmos("cpu", False)(clip)["utmos"]
    assert found == pytest.approx(float(np.mean(clip.samples(RATE) ** 2) * RATE), rel=1e-4)


def test_nisqa(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real function of torchmetrics, called with the clip's samples and rate; overall MOS comes first."""
    nisqa = pytest.importorskip("torchmetrics.functional.audio.nisqa")
    asked = []

    def stand_in(wave: object, rate: int) -> object:
        asked.append((wave, rate))
        return torch.tensor([3.5, 1.0, 1.0, 1.0, 1.0])

    monkeypatch.setattr(nisqa, "non_intrusive_speech_quality_assessment", stand_in)
    assert hub.nisqa("cpu", False)(clip) == {"nisqa_mos": 3.5}
    np.testing.assert_array_equal(asked[0][0].numpy(), clip.samples(RATE))
    assert asked[0][1] == RATE


def test_sigmos(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIGMOS_DIR", raising=False)
    with pytest.raises(
        DataError, match=r"sigmos\.py not found; clone https://github\.com/microsoft/SIG-Challenge"
    ):
        hub.sigmos("cpu", False)
    (tmp_path / "sigmos.py").write_text(
        "class SigMOS:\n"
        "    def __init__(self, model_dir, model_type=None): self.folder = model_dir\n"
        "    def run(self, audio, sr):\n"
        "        assert audio.ndim == 1 and sr == 16000\n"
        "        names = 'COL DISC LOUD NOISE REVERB SIG OVRL'.split()\n"
        "        return {'MOS_' + name: 1.0 + index / 2 for index, name in enumerate(names)}\n"
    )
    monkeypatch.setenv("SIGMOS_DIR", str(tmp_path))
    found = hub.sigmos("cpu", False)(clip)
    assert found["sigmos_ovrl"] == 4.0
    assert found["sigmos_col"] == 1.0
    assert len(found) == 7


def test_spksim(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for espnet's class (the package is too large for the tests): first spectral bins as embedding."""

    class Speech2Embedding:
        spk_model = torch.nn.Identity()

        @classmethod
        def from_pretrained(cls, model_tag: str, device: str) -> "Speech2Embedding":
            assert model_tag == hub.SPEAKERS
            return cls()

        def __call__(self, signal: np.ndarray) -> object:
            return torch.from_numpy(np.abs(np.fft.rfft(signal))[None, :100])

    module = types.ModuleType("espnet2.bin.spk_inference")
    module.Speech2Embedding = Speech2Embedding  # type: ignore[attr-defined]
    for name in ("espnet2", "espnet2.bin"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "espnet2.bin.spk_inference", module)
    similarity = hub.spksim("cpu", False)(clip)["spksim"]
    one, other = (np.abs(np.fft.rfft(x))[:100] for x in clip.pair(RATE))
    assert similarity == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=1e-5)


@pytest.fixture
def phoneme_model(tmp_path: Path) -> Path:
    """A tiny random wav2vec 2.0 with a CTC head, saved with the files of the published one."""
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    torch.manual_seed(0)
    tokens = ["<pad>", "<s>", "</s>", "<unk>", "a", "b", "tʃ", "oː", "n", "ɪ"]
    config = Wav2Vec2Config(
        vocab_size=len(tokens), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(8,) * 7, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, pad_token_id=0,
    )  # fmt: skip
    model = Wav2Vec2ForCTC(config)
    model.lm_head.weight.data *= 30
    model.save_pretrained(tmp_path / "phonemes")
    (tmp_path / "phonemes" / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    return tmp_path / "phonemes"


def test_lps(clip: Clip, phoneme_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the transformers package's own CTC decoding of the same network."""
    from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    monkeypatch.setattr(hub, "PHONEMES", str(phoneme_model))
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
    expected = max(0.0, 1 - edits(texts[0], texts[1]) / len(texts[0]))
    assert hub.lps("cpu", False)(clip)["lps"] == pytest.approx(expected)
    assert hub.lps("cpu", False)(Clip(clip.reference, clip.reference))["lps"] == 1.0


def test_sbert(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the definition, with a tiny random HuBERT."""
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=16, num_hidden_layers=9, num_attention_heads=2, intermediate_size=16, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    HubertModel(config).save_pretrained(tmp_path / "hubert")
    monkeypatch.setattr(hub, "SPEECH_BERT", str(tmp_path / "hubert"))
    model = HubertModel.from_pretrained(tmp_path / "hubert").eval()
    with torch.no_grad():
        ref, gen = (
            model(torch.from_numpy(x[None]), output_hidden_states=True).hidden_states[8][0].numpy()
            for x in clip.pair(RATE)
        )
    cosine = (gen @ ref.T) / np.linalg.norm(gen, axis=1)[:, None] / np.linalg.norm(ref, axis=1)
    assert hub.sbert("cpu", False)(clip)["sbert"] == pytest.approx(float(cosine.max(1).mean()), abs=1e-5)
    assert hub.sbert("cpu", False)(Clip(clip.reference, clip.reference))["sbert"] == pytest.approx(
        1.0, abs=1e-5
    )


@pytest.mark.parametrize("seed", range(5))
def test_edits_against_the_plain_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = ("".join(rng.choice(list("abc"), rng.integers(0, 7))) for _ in range(2))

    def plain(a: str, b: str) -> int:
        if not a or not b:
            return len(a) + len(b)
        return min(plain(a[1:], b) + 1, plain(a, b[1:]) + 1, plain(a[1:], b[1:]) + (a[0] != b[0]))

    assert edits(one, other) == plain(one, other)
