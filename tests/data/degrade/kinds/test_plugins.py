"""Kinds of other packages: found where they are installed, refused in words where they are broken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from degrading import RATE, speech_like
from sqa_data.degrade.kind import Family, Surroundings, World
from sqa_data.degrade.kinds import KINDS
from sqa_data.degrade.kinds.plugins import installed
from sqa_data.errors import DataError

README = Path(__file__).parents[4] / "packages" / "sqa-data" / "README.md"
HALF = """
from sqa_data.degrade.kind import Family, Kind
KINDS = {"half": Kind(Family.PLAYBACK, lambda x, severity, world: (x * (1 - severity / 2), {"gain": 1 - severity / 2}))}
"""


def install(site: Path, code: str, module: str = "toy_kinds", value: str = "toy_kinds:KINDS") -> None:
    """Lay a package as pip would."""
    (site / f"{module}.py").write_text(code)
    facts = site / f"{module}-1.2.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2\n")
    (facts / "entry_points.txt").write_text(f"[sqa_data.kinds]\nmine = {value}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.startswith("toy_kinds")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


@pytest.mark.slow
def test_a_kind_of_an_installed_package_is_one_of_the_kinds(site: Path) -> None:
    assert installed(()) == {}
    install(site, HALF)
    assert list(installed(KINDS)) == ["half"]
    code = (
        "import numpy as np; from sqa_data.degrade.chain import degrade, Step\n"
        "done = degrade(np.full(1600, 0.5), [Step('half', 1.0)])\n"
        "assert (done.samples == 0.25).all(); print(done.steps)"
    )
    for command in (["-c", code], ["-m", "sqa_cli", "data", "kinds", "--json"]):
        environment = os.environ | {"PYTHONPATH": str(site)}
        told = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=True, env=environment
        )
        assert "half" in told.stdout
    assert json.loads(told.stdout)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError.*nowhere_to_be_found.*; repair or uninstall it"),
        ("1 / 0", "ZeroDivisionError"),
        ("KIND = {}", "AttributeError.*KINDS"),
        ("KINDS = ['half']", "toy_kinds:KINDS is no dict of name -> Kind"),
        ("KINDS = {'half': print}", "toy_kinds:KINDS is no dict of name -> Kind"),
        (HALF.replace("half", "opus"), "a kind 'opus' is there already; give it another name"),
    ],
)
def test_a_broken_package_is_named(site: Path, code: str, message: str) -> None:
    install(site, code)
    with pytest.raises(
        DataError, match=rf"toy_kinds 1\.2: entry point 'mine' of sqa_data\.kinds: .*{message}"
    ):
        installed(KINDS)


def test_two_packages_cannot_have_kinds_of_one_name(site: Path) -> None:
    install(site, HALF)
    install(site, HALF, "toy_kinds_too", "toy_kinds_too:KINDS")
    with pytest.raises(DataError, match=r"toy_kinds_too 1\.2: .*'half' is there already"):
        installed(KINDS)


@pytest.mark.slow
def test_the_example_of_a_neural_codec_runs_with_a_small_network_of_its_class(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    text = README.read_text()
    code = text[text.index("```python\n# toy_kinds") + 10 :].partition("```")[0]
    install(site, code)
    kinds = installed(KINDS)
    assert {kind.family for kind in kinds.values()} == {Family.CODEC}
    torch.manual_seed(0)
    small = transformers.EncodecConfig(num_filters=4, hidden_size=16, codebook_dim=16, num_lstm_layers=1)
    network = transformers.EncodecModel(small)
    monkeypatch.setattr(transformers.EncodecModel, "from_pretrained", lambda name: network)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    x = speech_like(1.0)
    world = World(np.random.default_rng(0), RATE, x, x, Surroundings())
    assert kinds["encodec"].missing(Surroundings()) is None
    for severity, kbps in ((0.0, 24.0), (1.0, 1.5)):
        y, settings = kinds["encodec"].act(x, severity, world)
        assert y.shape == x.shape
        assert np.isfinite(y).all()
        assert settings == {"kbps": kbps}
