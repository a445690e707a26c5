"""The rules of the house that no linter knows: lengths, summaries of docstrings, a mirror test for every module."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# the other three packages join when they have been rebuilt
SOURCES = sorted(path for path in (ROOT / "packages").glob("sqa-cli/src/**/*.py"))

LONGEST_FUNCTION = 60
LONGEST_FILE = 400

# "module.py:function" or "module.py" -> why it may be longer
LONGER: dict[str, str] = {}

# module or folder -> where its tests are instead of in the file that mirrors it
TESTED_ELSEWHERE: dict[str, str] = {}


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
            if (more and more[0].strip()) or not first.rstrip().endswith((".", ":", "?", "!")):
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
