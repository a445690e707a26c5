"""Metrics whose weights come from a hub on first use: networks of others, each run by its own program.

None of these weights can travel in a package, so every adapter here needs the network once (or a cache that another
machine has filled). They are torch programs: the functions, never the module, import torch.
"""

import contextlib
import importlib
import importlib.util
import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from sqa_data.errors import DataError
from sqa_data.labellers import Score
from sqa_data.labellers.signals import ClipError, Signals

UTMOS_REPOSITORY = "tarepan/SpeechMOS:v1.2.0"
PHONEMES = "facebook/wav2vec2-lv-60-espeak-cv-ft"
SPEECH_BERT, SPEECH_BERT_LAYER = "utter-project/mHuBERT-147", 8
SPEAKERS = "espnet/voxcelebs12_rawnet3"


def scoreq(device: str, fast: bool) -> Score:
    """SCOREQ (Ragano et al. 2024), natural speech, without reference, by `scoreq` (weights from Zenodo)."""
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
        package = importlib.import_module("scoreq.scoreq")  # the attribute of that name is not the module
        model = package.Scoreq(data_domain="natural", mode="nr", use_onnx=True)
    torch, torchaudio = package.torch, package.torchaudio

    def score(clip: Signals) -> dict[str, float]:
        rate = clip.simple_rate(16000)
        wave = torch.from_numpy(clip.samples(rate)[None])  # (1, samples)
        if rate != 16000:
            wave = torchaudio.transforms.Resample(rate, 16000)(wave)
        model.load_processing = lambda path: wave  # its own reader is gone from today's torchaudio
        return {"scoreq": float(model.predict(str(clip.path)))}

    return score


def utmos(device: str, fast: bool) -> Score:
    """UTMOS22 strong learner (Saeki et al. 2022), by torch.hub from `tarepan/SpeechMOS` v1.2.0, as the baseline does.

    torch.hub runs the code of that repository, at that tag.
    """
    import torch

    hub: Any = torch.hub
    model = hub.load(UTMOS_REPOSITORY, "utmos22_strong", trust_repo=True, skip_validation=True)
    model = model.to(device).eval()

    def score(clip: Signals) -> dict[str, float]:
        rate = clip.simple_rate(16000)
        with torch.inference_mode():
            wave = torch.from_numpy(clip.samples(rate)[None]).to(device)
            return {"utmos": float(model(wave, rate))}

    return score


def nisqa(device: str, fast: bool) -> Score:
    """NISQA v2 overall MOS (Mittag et al. 2021) at the clip's own rate, by `torchmetrics` (weights from GitHub)."""
    import torch
    from torchmetrics.functional.audio.nisqa import non_intrusive_speech_quality_assessment

    try:  # it loads its weights on the first call
        non_intrusive_speech_quality_assessment(torch.zeros(48000), 48000)
    except pickle.UnpicklingError as error:  # it keeps whatever the server said, an error page too
        raise DataError(
            "nisqa_mos: ~/.torchmetrics/NISQA/nisqa.tar does not hold weights; remove it and run again"
        ) from error

    def score(clip: Signals) -> dict[str, float]:
        mos = non_intrusive_speech_quality_assessment(torch.from_numpy(clip.samples()), clip.rate)[0]
        return {"nisqa_mos": float(mos)}

    return score


SIGMOS_LABELS = {  # label -> key of the program
    "sigmos_ovrl": "MOS_OVRL", "sigmos_col": "MOS_COL", "sigmos_disc": "MOS_DISC", "sigmos_loud": "MOS_LOUD",
    "sigmos_noise": "MOS_NOISE", "sigmos_reverb": "MOS_REVERB", "sigmos_sig": "MOS_SIG",
}  # fmt: skip


def sigmos(device: str, fast: bool) -> Score:
    """SIGMOS (Ristea et al. 2025), the seven scores of ITU-T P.804, by Microsoft's `sigmos.py` in `SIGMOS_DIR`."""
    folder = Path(os.environ.get("SIGMOS_DIR") or "no SIGMOS_DIR")
    source = folder / "sigmos.py"
    if not source.is_file():
        raise DataError(
            f"sigmos: {source} not found; clone https://github.com/microsoft/SIG-Challenge and set SIGMOS_DIR "
            "to its folder ICASSP2024/sigmos"
        )
    spec = importlib.util.spec_from_file_location("sigmos", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.SigMOS(model_dir=str(folder))

    def score(clip: Signals) -> dict[str, float]:
        found = model.run(clip.samples(), sr=clip.rate)
        return {label: float(found[key]) for label, key in SIGMOS_LABELS.items()}

    return score


def spksim(device: str, fast: bool) -> Score:
    """Cosine of RawNet3 speaker embeddings of reference and clip, by `espnet` (weights from the Hub)."""
    import torch
    from espnet2.bin.spk_inference import Speech2Embedding

    model = Speech2Embedding.from_pretrained(model_tag=SPEAKERS, device=device)
    model.spk_model.eval()

    def score(clip: Signals) -> dict[str, float]:
        with torch.inference_mode():
            reference, degraded = (model(signal) for signal in clip.pair(16000))
            return {"spksim": float(torch.cosine_similarity(reference, degraded, dim=-1))}

    return score


def lps(device: str, fast: bool) -> Score:
    """Levenshtein phoneme similarity (Pirklbauer et al. 2023): 1 - edits / phonemes of the reference.

    Phonemes by wav2vec 2.0 (`transformers`, weights from the Hub). Compared symbol by symbol of the joined
    transcription and free to fall below 0, as in the URGENT challenges.
    """
    import torch
    from huggingface_hub import hf_hub_download
    from transformers import Wav2Vec2ForCTC

    model: Any = Wav2Vec2ForCTC.from_pretrained(PHONEMES)
    model = model.to(device).eval()
    vocabulary = _vocabulary(PHONEMES, hf_hub_download)
    blank = model.config.pad_token_id

    def phonemes(signal: np.ndarray) -> str:
        normal = (signal - signal.mean()) / np.sqrt(signal.var() + 1e-7)  # as its feature extractor
        with torch.inference_mode():
            ids = model(torch.from_numpy(normal[None]).to(device)).logits[0].argmax(-1).tolist()
        runs = [token for before, token in zip([None, *ids], ids, strict=False) if token != before]
        return "".join(vocabulary[token] for token in runs if token != blank).replace(" ", "")

    def score(clip: Signals) -> dict[str, float]:
        reference, degraded = clip.pair(16000)
        spoken, heard = phonemes(reference), phonemes(degraded)
        if not spoken:
            raise ClipError(f"{clip.path}: lps: no phoneme found in the reference {clip.reference}")
        return {"lps": 1 - edits(spoken, heard) / len(spoken)}

    return score


def sbert(device: str, fast: bool) -> Score:
    """SpeechBERTScore precision (Saeki et al. 2024): each frame of the clip to its nearest of the reference.

    Cosines of layer 8 of mHuBERT-147 (`transformers`, weights from the Hub), the choice of the URGENT challenges
    since 2025.
    """
    import torch
    from transformers import HubertModel

    model: Any = HubertModel.from_pretrained(SPEECH_BERT)
    model = model.to(device).eval()

    def frames(signal: np.ndarray) -> Any:
        wave = torch.from_numpy(signal[None]).to(device)
        states = model(wave, output_hidden_states=True).hidden_states[SPEECH_BERT_LAYER][0]
        return torch.nn.functional.normalize(states, dim=-1)  # (frames, dim)

    def score(clip: Signals) -> dict[str, float]:
        with torch.inference_mode():
            reference, degraded = (frames(signal) for signal in clip.pair(16000))
            return {"sbert": float((degraded @ reference.T).max(dim=1).values.mean())}

    return score


def edits(one: str, other: str) -> int:
    """Levenshtein distance: insertions, deletions and substitutions between two strings.

    >>> edits("kitten", "sitting"), edits("", "abc"), edits("same", "same")
    (3, 3, 0)
    """
    above = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        row = [i]
        for j, b in enumerate(other, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
        above = row
    return above[-1]


def _vocabulary(model: str, download: Any) -> dict[int, str]:
    """Token id -> phoneme, from the model's vocab.json."""
    import orjson

    path = Path(model) / "vocab.json" if Path(model).is_dir() else Path(download(model, "vocab.json"))
    return {index: token for token, index in orjson.loads(path.read_bytes()).items()}
