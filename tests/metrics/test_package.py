"""The package as others see it: its public names exist, and importing it costs next to nothing."""

import inspect
import subprocess
import sys

import sqa_metrics


def test_public_names_exist() -> None:
    for name in sqa_metrics.__all__:
        assert getattr(sqa_metrics, name) is not None
    assert dir(sqa_metrics) == sorted(sqa_metrics.__all__)


def test_public_functions_show_an_example() -> None:
    functions = [getattr(sqa_metrics, name) for name in sqa_metrics.__all__]
    bare = [f.__name__ for f in functions if inspect.isfunction(f) and ">>>" not in (f.__doc__ or "")]
    assert not bare


def test_unknown_names_fail_as_usual() -> None:
    assert not hasattr(sqa_metrics, "pesq")


def test_import_is_light() -> None:
    code = "import sys, sqa_metrics; print([m for m in ('numpy', 'numba', 'click') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
