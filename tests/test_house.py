"""The rules of the house that no linter knows: lengths, summaries of docstrings, a mirror test for every module."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for path in (ROOT / "packages").glob("*/src/**/*.py"))

LONGEST_FUNCTION = 60
LONGEST_FILE = 400

# "module.py:function" or "module.py" -> why it may be longer
LONGER: dict[str, str] = {
    "sqa_metrics/kernels/resampling.py:reweighted": "one pass of compiled code over sorted ranks",
    "sqa_metrics/uncertainty.py": "closed recipes replace resampling here, see the issue on judging",
}

# module or folder -> where its tests are instead of in the file that mirrors it
TESTED_ELSEWHERE: dict[str, str] = {
    "sqa_metrics/errors.py": "a class without code",
    "sqa_data/errors.py": "classes without code",
    "sqa_model/errors.py": "classes without code",
    "sqa_metrics/cli.py": "tests/cli/test_score.py: the same commands, by both programs",
    "sqa_metrics/tables.py": "its doctests, and tests/cli/test_score.py",
    "sqa_metrics/kernels": "tests/metrics/test_kernels.py: every way of computing against the plain definition",
    "sqa_metrics/rows/ids.py": "tests/contract: the same table as sqa_data.ids",
    "sqa_metrics/rows/records.py": "tests/metrics/rows/test_formats.py",
    "sqa_data/corpora": "tests/cli/data/test_prepare.py: every corpus from a server to a verified manifest",
    "sqa_data/tables.py": "tests/data/test_real_labels.py: the label files of real corpora",
    "sqa_data/corpus.py": "tests/cli/data/test_corpora.py",
    "sqa_data/prepare": "tests/data/prepare/test_prepare.py: the steps of one command together",
    "sqa_data/sources": "tests/data/sources/test_download.py and tests/cli/data/test_download.py, against a server",
    "sqa_data/labellers": "tests/data/labellers/test_labellers.py: all against their packages",
    "sqa_data/annotate": "tests/data/annotate/test_annotate.py: the run, its log and its workers together",
    "sqa_data/degrade": "tests/data/degrade/test_degrade.py: signals, kinds, plan and rendering together",
    "sqa_model/checkpoint": "tests/model/checkpoint/test_checkpoint.py: both formats, whole and damaged",
    "sqa_model/inference": "tests/model/inference/test_predictor.py and tests/cli/test_predict.py",
    "sqa_model/network": "tests/model/network/test_model.py and test_backbones.py: layers inside whole models",
}


def name(path: Path) -> str:
    """Path of a module below `src`, such as "sqa_data/audio.py"."""
    return path.relative_to(ROOT / "packages").as_posix().split("/src/")[1]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def mirror(path: Path) -> Path:
    """Where the tests of a module are: packages/sqa-data/src/sqa_data/a/b.py -> tests/data/a/test_b.py."""
    package, *folders, file = name(path).split("/")
    return ROOT.joinpath("tests", package.removeprefix("sqa_"), *folders, f"test_{file.lstrip('_')}")


def entry(path: Path, table: dict[str, str]) -> str | None:
    """The key of `table` that covers a module: the module itself, or a folder that it is in."""
    parts = name(path).split("/")
    keys = ("/".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((key for key in keys if key in table), None)


def test_functions_fit_on_a_screen() -> None:
    found = {
        f"{name(path)}:{node.name}": length
        for path in SOURCES
        for node in functions(path)
        if (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }
    wrong = {key: length for key, length in found.items() if key not in LONGER}
    assert not wrong, f"longer than {LONGEST_FUNCTION} lines: {wrong}"
    stale = {key for key in LONGER if ":" in key} - set(found)
    assert not stale, f"no exception is needed any more: {stale}"


def test_files_hold_one_idea() -> None:
    found = {
        name(path): length
        for path in SOURCES
        if (length := path.read_text(encoding="utf-8").count("\n")) > LONGEST_FILE
    }
    wrong = {key: length for key, length in found.items() if key not in LONGER}
    assert not wrong, f"longer than {LONGEST_FILE} lines: {wrong}"
    stale = {key for key in LONGER if ":" not in key} - set(found)
    assert not stale, f"no exception is needed any more: {stale}"


def test_a_docstring_begins_with_a_line_that_stands_alone() -> None:
    wrong = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            first, *more = (ast.get_docstring(node) or ".").split("\n")
            stands_alone = not (more and more[0].strip()) and first.rstrip().endswith((".", ":", "?", "!"))
            if not stands_alone:
                wrong.append(f"{name(path)}:{getattr(node, 'lineno', 1)}: {first}")
    assert not wrong, "\n".join(wrong)


def test_every_module_has_its_mirror_test() -> None:
    # a package's __init__ only says what is public; its tests are tests/PACKAGE/test_package.py
    modules = [path for path in SOURCES if path.name not in ("__init__.py", "__main__.py")]
    missing = [path for path in modules if not mirror(path).exists()]
    wrong = [
        f"{name(path)}: no {mirror(path).relative_to(ROOT)}"
        for path in missing
        if not entry(path, TESTED_ELSEWHERE)
    ]
    assert not wrong, "\n".join(wrong)
    stale = set(TESTED_ELSEWHERE) - {entry(path, TESTED_ELSEWHERE) for path in missing}
    assert not stale, f"these are gone or have their mirror test: {stale}"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_module_is_without_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
