"""Networks that may be absent: said in words, loaded anew for each clip, refused where they are others."""

import os
from pathlib import Path

import numpy as np
import pytest
from sqa_data.degrade.kind import Surroundings
from sqa_data.degrade.networks import Network
from sqa_data.errors import DataError

LYRA = Network("lyra_v2", ("lyragan.tflite",), "google/lyra", "ai-edge-litert")


def test_what_is_absent_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert LYRA.missing(Surroundings()) == "needs ai_edge_litert: pip install ai-edge-litert"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    for models in (None, tmp_path):
        found = LYRA.missing(Surroundings(models=models))
        assert found == "needs lyra_v2/lyragan.tflite of google/lyra; give --models FOLDER with it"
    (tmp_path / "lyra_v2").mkdir()
    (tmp_path / "lyra_v2" / "lyragan.tflite").touch()
    assert LYRA.missing(Surroundings(models=tmp_path)) is None
    with pytest.raises(DataError, match="give --models FOLDER"):
        LYRA.path(Surroundings(), "lyragan.tflite")


def test_a_file_of_something_else_is_refused(tmp_path: Path, shared: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="pip install ai-edge-litert")
    around = Surroundings(models=tmp_path)
    (tmp_path / "lyra_v2").mkdir()
    file = tmp_path / "lyra_v2" / "lyragan.tflite"
    for content in (b"", b"not a network" * 100):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"lyragan\.tflite: no network that LiteRT can read"):
            LYRA.tflite_run(around, "lyragan.tflite")
    file.write_bytes((shared / "models" / "tplcnet_s" / "tPLCnet_s.tflite").read_bytes())
    run = LYRA.tflite_run(around, "lyragan.tflite")
    with pytest.raises(
        DataError, match=r"takes \(1, 6, 160\); expected \(1, 1, 64\), as the network of google"
    ):
        run(np.zeros((1, 1, 64)))


def test_each_call_for_a_network_gives_one_that_has_heard_nothing(
    shared: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ai_edge_litert", reason="pip install ai-edge-litert")
    around, features = Surroundings(models=shared / "models"), np.ones((1, 1, 64))
    run = LYRA.tflite_run(around, "lyragan.tflite")
    first, second = run(features), run(features)
    assert first.shape == (1, 320)
    assert np.abs(first - second).max() > 1e-3  # it remembers
    np.testing.assert_array_equal(LYRA.tflite_run(around, "lyragan.tflite")(features), first)
    os.write(2, b"heard")  # the stream is back, without LiteRT's greeting
    assert capfd.readouterr().err == "heard"


GTCRN = Network("gtcrn", ("gtcrn_simple.onnx",), "Xiaobin-Rong/gtcrn", "onnxruntime")


def test_states_of_onnx_begin_at_zero_and_are_kept(shared: Path) -> None:
    pytest.importorskip("onnxruntime", reason="pip install onnxruntime")
    around, frame = Surroundings(models=shared / "models"), np.ones((1, 257, 1, 2))
    run = GTCRN.onnx_run(around, GTCRN.files[0])
    first, second = run(frame), run(frame)
    assert first.shape == frame.shape
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(GTCRN.onnx_run(around, GTCRN.files[0])(frame), first)
    with pytest.raises(
        DataError, match=r"takes \(1, 257, 1, 2\); expected \(1, 1, 257\), as the network of Xi"
    ):
        run(np.ones((1, 1, 257)))


def test_an_onnx_file_of_something_else_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="pip install onnxruntime")
    (tmp_path / "gtcrn").mkdir()
    for content in (b"", b"not a network" * 100):
        (tmp_path / "gtcrn" / GTCRN.files[0]).write_bytes(content)
        with pytest.raises(DataError, match=r"simple\.onnx: no network that onnxruntime can read; expected"):
            GTCRN.onnx_run(Surroundings(models=tmp_path), GTCRN.files[0])
