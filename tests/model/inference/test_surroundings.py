"""Scores do not depend on what the process did before: default dtypes, devices, modes, tracing, a broken torchaudio.

Each case starts a process, since what is kept from the first call is what used to go wrong.
"""

import subprocess
import sys
from pathlib import Path

import pytest

SETUP = """
import sys
sys.modules["torchaudio"] = None
import numpy as np, torch, sqa_model
from sqa_model.network.logmel import LogMelConfig
from sqa_model.network.wavlm import WavLMConfig

x = 0.1 * np.random.default_rng(0).standard_normal(44_100) * np.linspace(0, 1, 44_100)
small = dict(dim=32, layers=1, attention_heads=4, feedforward=32)
encoders = {
    "logmel": LogMelConfig(dim=32, blocks=1, context=3, channels=4),
    "wavlm": WavLMConfig(dim=32, layers=2, heads=4, feedforward=32, channels=32, position_groups=4),
}

def fresh(kind):
    torch.manual_seed(0)
    return sqa_model.MosModel(sqa_model.ModelConfig(encoders[kind], **small)).eval()

models = {kind: fresh(kind) for kind in encoders}
folders = [sqa_model.save(model, f"{sys.argv[1]}/{kind}") for kind, model in models.items()]

def scores():
    sources = [*models.values(), *folders]
    return [sqa_model.predict(x, m, 44_100, device="cpu", dtype="float32")["mos"] for m in sources]
"""

CASES = {
    "alone": "first = scores()",
    "bfloat16 is the default": """
torch.set_default_dtype(torch.bfloat16)
first = scores()
torch.set_default_dtype(torch.float32)
""",
    "float64 is the default": """
torch.set_default_dtype(torch.float64)
first = scores()
torch.set_default_dtype(torch.float32)
""",
    "in inference mode": """
with torch.inference_mode():
    first = scores()
for model in models.values():  # the same constants must serve gradients
    model([torch.zeros(20_000, requires_grad=True)])[0, 0].backward()
""",
    "meta is the default device": """
with torch.device("meta"):
    first = scores()
""",
    "after a model was exported": """
for kind in encoders:
    torch.export.export(Positional(fresh(kind)), (torch.from_numpy(x[:16_000]).float(),))
first = scores()
""",
    "after models of fake tensors": """
from torch._subclasses.fake_tensor import FakeTensorMode
with FakeTensorMode():
    for kind in encoders:
        assert fresh(kind)([torch.zeros(16_000), torch.zeros(500)]).shape == (2, 1)
first = scores()
""",
    "after a model was emptied, rounded and loaded": """
for kind, model in models.items():
    with torch.device("meta"):
        other = sqa_model.MosModel(model.config)
    other = other.to_empty(device="cpu").bfloat16().float().eval()
    other.load_state_dict(model.state_dict())
    models[kind] = other
first = scores()
""",
}

POSITIONAL = """
class Positional(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, wave):
        return self.model([wave])
"""


def run(case: str, folder: Path) -> list[float]:
    """Scores of two models and of their files, at first and later, in a new process."""
    code = SETUP + POSITIONAL + CASES[case] + "\nprint(*first, *scores())"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return [float(word) for word in done.stdout.split()]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    return run("alone", tmp_path_factory.mktemp("alone"))


# each of the others loads torch and a model in a process of its own
QUICK = "in inference mode"


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=[] if c == QUICK else [pytest.mark.slow]) for c in CASES if c != "alone"],
)
def test_scores_are_right_then_and_ever_after(case: str, alone: list[float], tmp_path: Path) -> None:
    assert alone[0] != pytest.approx(alone[1], abs=1e-2)
    assert run(case, tmp_path) == pytest.approx(alone, abs=1e-5)


def test_no_module_needs_torchaudio() -> None:
    code = """
import sys, pkgutil, importlib
sys.modules["torchaudio"] = None
import sqa_model
for module in pkgutil.walk_packages(sqa_model.__path__, "sqa_model."):
    importlib.import_module(module.name)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
