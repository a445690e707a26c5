"""The import rules of the house: which package may import what, read from the source itself."""

import ast
import itertools
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGES = Path(__file__).resolve().parent.parent / "packages"
OURS = {"sqa_metrics", "sqa_data", "sqa_model", "sqa_cli"}
TORCH = {"torch", "torchaudio"}

# package -> modules that no file of it may import, at any depth of the code
FORBIDDEN = {
    "sqa_metrics": OURS - {"sqa_metrics"} | TORCH,
    "sqa_data": OURS - {"sqa_data"} | TORCH,
    "sqa_model": {"sqa_cli"},
    "sqa_cli": TORCH,
}
# metrics that are torch programs of others: an extra brings torch, their functions (not the module) import it
ON_TORCH = {"sqa_data/labellers/from_hub.py"}
# folder of sqa-model that needs its `train` extra and so may import sqa_metrics
TRAINING = "training"


def imports(source: str, depth: bool = True) -> list[tuple[int, str]]:
    """(line, top-level module) of every import statement in `source`; without `depth`, not of those inside functions.

    >>> imports("import a.b; from c import d; from . import e")
    [(1, 'a'), (1, 'c')]
    """
    found = []
    tree = ast.parse(source)
    for node in ast.walk(tree) if depth else tree.body:
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.append((node.lineno, node.module.split(".")[0]))
    return found


def files(package: str) -> list[Path]:
    return sorted((PACKAGES / package.replace("_", "-") / "src" / package).rglob("*.py"))


def test_packages_agree_on_the_versions_of_what_they_share() -> None:
    asked = defaultdict[str, set[str]](set)
    for file in PACKAGES.glob("*/pyproject.toml"):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        extras = project.get("optional-dependencies", {})
        for needed in itertools.chain(project["dependencies"], *extras.values()):
            name, versions = re.fullmatch(r"([\w.-]+(?:\[[\w,]+\])?)(.*)", needed).groups()  # type: ignore[union-attr]
            asked[name].add(versions)
    apart = {name: versions for name, versions in asked.items() if len(versions) > 1}
    assert not apart


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_no_forbidden_import(package: str) -> None:
    assert files(package), f"no source files found for {package}"
    wrong = [
        f"{path.relative_to(PACKAGES)}:{line}: {package} must not import {module}"
        for path in files(package)
        for line, module in imports(
            path.read_text(encoding="utf-8"), depth="/".join(path.parts[-3:]) not in ON_TORCH
        )
        if module in FORBIDDEN[package]
    ]
    assert not wrong, "\n".join(wrong)


def test_inference_needs_no_training_extra() -> None:
    wrong = [
        f"{path.name}:{line}: only {TRAINING}/ may import {module}"
        for path in files("sqa_model")
        if path.parent.name != TRAINING
        for line, module in imports(path.read_text(encoding="utf-8"))
        if module in {"sqa_metrics", "tensorboard"}
    ]
    assert not wrong, "\n".join(wrong)
