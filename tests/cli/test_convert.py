"""`sqa-cli convert`."""

from pathlib import Path

from click.testing import CliRunner
from published import METRICS, SMALL, publish, reference
from sqa_cli.main import main
from sqa_model import predict


def test_convert(tmp_path: Path, wavs: Path) -> None:
    source = publish(reference(layers=1, **SMALL), tmp_path / "published")
    result = CliRunner().invoke(main, ["convert", str(source), str(tmp_path / "ours")])
    assert result.exit_code == 0, result.output
    assert ", ".join(METRICS) in result.output
    file = sorted(wavs.iterdir())[0]
    assert predict(file, tmp_path / "ours", dtype="float32") == predict(file, source, dtype="float32")
    result = CliRunner().invoke(main, ["convert", str(wavs), str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "no model in this folder" in result.output
