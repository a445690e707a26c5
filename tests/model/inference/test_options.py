"""Options of predicting are judged before torch is loaded."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("device='tpu'", "device is 'tpu'; expected auto, cpu, cuda or cuda:1"),
        ("device='cuda:x'", "device is 'cuda:x'"),
        ("models=['nosuch']", "nosuch: no such file or folder, and not a Hub id"),
        ("models=['owner/name', '/tmp']", "no model in this folder"),
        (f"models=['a/b', 'c/d'], config={__file__!r}", "config is that of one model; found 2 models"),
        ("dtype='float8'", "dtype is 'float8'; expected auto, float32 or bfloat16"),
        ("window_s=float('inf')", "window_s is inf"),
    ],
)
def test_told_without_torch(options: str, message: str) -> None:
    code = f"""
import sys, sqa_model
from sqa_model.inference.options import check_options
check_options(models=["owner/name"], device="cuda:1", dtype="bfloat16", window_s=60, timeline_s=0.5, batch_seconds=400)
check_options()
try: check_options({options})
except Exception as error: print("ModelError" if isinstance(error, sqa_model.ModelError) else type(error), error)
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said, loaded = done.stdout.splitlines()
    assert said.startswith("ModelError ")
    assert message in said
    assert loaded == "False"
