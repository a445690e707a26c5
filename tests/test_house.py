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
LONGER: dict[str, str] = {}

# module -> the file below tests/ that tests it instead of the one that mirrors its path, and how; a folder only where
# every file in it is found and tested by itself, so that adding one takes no line here
TESTED_ELSEWHERE: dict[str, str] = {
    "sqa_data/corpora": "cli/data/test_prepare.py: every corpus from a server to a verified manifest",
    "sqa_data/errors.py": "classes without code",
    "sqa_data/annotate/log.py": "data/annotate/test_annotate.py: runs that go on from torn, bad and shared logs",
    "sqa_data/annotate/run.py": "data/annotate/test_annotate.py: named after the folder whose verb it is",
    "sqa_data/degrade/plan.py": "data/degrade/test_degrade.py: what splits share, next to what is rendered of it",
    "sqa_data/degrade/render.py": "data/degrade/test_degrade.py: renders what the tests of plans have planned",
    "sqa_cli/data/corpora.py": "cli/data/test_prepare.py: every corpus from a server to its manifests",
    "sqa_data/labellers/from_package.py": "data/labellers/test_labellers.py: the packages on the same file",
    "sqa_data/labellers/intrusive.py": "data/labellers/test_labellers.py: the packages on the same pair",
    "sqa_data/labellers/signals.py": "data/labellers/test_labellers.py: channels, rates, silence",
    "sqa_data/prepare/run.py": "data/prepare/test_prepare.py: named after the folder whose verb it is",
    "sqa_data/sources/answers.py": "data/sources/test_http.py: `judge`, next to the servers that give such answers",
    "sqa_data/sources/folder.py": "data/prepare/test_prepare.py: unpacked by hand, with or without the root folder",
    "sqa_data/sources/hub.py": "data/sources/test_download.py: a hub of the test's own, behind `download`",
    "sqa_data/sources/remote_labels.py": "data/sources/test_download.py: labels only, of servers that cut",
    "sqa_metrics/cli/calibrate.py": "cli/test_calibrate.py: by both programs, and what `predict` makes of it",
    "sqa_metrics/cli/group.py": "cli/test_main.py: the table of sqa-cli",
    "sqa_metrics/cli/inputs.py": "cli/test_score.py: names, pipes and notes of files",
    "sqa_metrics/cli/options.py": "cli/test_score.py: examples under the name of the program",
    "sqa_metrics/cli/plan.py": "cli/test_plan.py: by the program that offers it too",
    "sqa_metrics/cli/pairs.py": "cli/test_pairs.py: by both programs",
    "sqa_metrics/cli/ratings.py": "cli/test_ratings.py: by the program that offers it too",
    "sqa_metrics/cli/score.py": "cli/test_score.py: the same commands, by both programs",
    "sqa_metrics/cli/warmup.py": "cli/test_score.py: the same commands, by both programs",
    "sqa_metrics/errors.py": "a class without code",
    "sqa_metrics/interval.py": "metrics/uncertainty/test_intervals.py: in reports, as tables and as JSON",
    "sqa_metrics/tables.py": "cli/test_score.py: as it is printed; its layouts are doctests",
    "sqa_metrics/kernels/arrays.py": "metrics/kernels/test_rank.py: NumPy's way against the plain definition",
    "sqa_metrics/kernels/checksum.py": "metrics/rows/test_fingerprint.py: the compiled half, against zlib",
    "sqa_metrics/kernels/compiled.py": "metrics/kernels/test_choose.py: loaded, cached, damaged and missing",
    "sqa_metrics/kernels/hashing.py": "metrics/rows/test_columns.py: ids of the compiled road, against the plain one",
    "sqa_metrics/kernels/inversions.py": "metrics/kernels/test_rank.py: counted by it and by the definition",
    "sqa_metrics/kernels/packing.py": "metrics/kernels/test_rank.py: any floats, in the order that they have",
    "sqa_metrics/kernels/plain.py": "metrics/test_agreement.py: the definition, against SciPy",
    "sqa_metrics/kernels/leave_out_arrays.py": "metrics/kernels/test_leave_out.py: NumPy's half of one computation",
    "sqa_metrics/kernels/leave_out_loops.py": "metrics/kernels/test_leave_out.py: the compiled half of one computation",
    "sqa_metrics/kernels/scan.py": "metrics/rows/test_columns.py: the compiled reader of rows, against the plain one",
    "sqa_metrics/kernels/sums.py": "metrics/kernels/test_rank.py: no digit is lost, and what is not finite is refused",
    "sqa_metrics/kernels/threads.py": "metrics/kernels/test_leave_out.py: the same in any number of threads",
    "sqa_metrics/ratings/show.py": "cli/test_ratings.py: as it is printed",
    "sqa_metrics/ratings/votes.py": "metrics/ratings/test_bias.py: sums that every figure is made of",
    "sqa_metrics/rows/ids.py": "contract/test_rows.py: the same table as sqa_data.ids",
    "sqa_metrics/rows/records.py": "metrics/rows/test_join.py: columns as they come from reading and joining",
    "sqa_model/checkpoint/files.py": "model/checkpoint/test_checkpoint.py: pipes and missing files, loaded",
    "sqa_model/checkpoint/hyperpyyaml.py": "model/checkpoint/test_checkpoint.py: hostile YAML in a checkpoint",
    "sqa_model/network/attention.py": "model/network/test_dropout.py: by its formula, without and with dropout",
    "sqa_model/training/fields.py": "model/training/test_config.py: every field of every section",
    "sqa_model/network/fields.py": "model/network/test_config.py: every field of every configuration",
    "sqa_model/errors.py": "classes without code",
    "sqa_model/checkpoint/names.py": "model/network/test_wavlm.py: transformers' weights in ours give its states",
    "sqa_model/checkpoint/ours.py": "model/checkpoint/test_checkpoint.py: round trips, whole and damaged",
    "sqa_model/checkpoint/published.py": "model/checkpoint/test_checkpoint.py: published weights and numbers",
    "sqa_model/checkpoint/to_urgent_mos.py": "model/checkpoint/test_urgent_mos.py: there and back",
    "sqa_model/checkpoint/tensors.py": "model/checkpoint/test_checkpoint.py: pickles and weights that are refused",
    "sqa_model/inference/submission.py": "cli/test_submit.py: what its one caller writes and refuses",
    "sqa_model/network/backbone.py": "model/network/test_backbones.py: an interface, met by a toy",
    "sqa_model/network/wav2vec2.py": "model/network/test_hugging_face.py: every family, against transformers itself",
    "sqa_model/network/logmel.py": "model/network/test_model.py: the encoder of all models there",
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
    """The key of `table` that covers a module: the module itself, or the folder that it is in."""
    keys = (name(path), name(path).rpartition("/")[0])
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
    files = {reason.partition(":")[0] for reason in TESTED_ELSEWHERE.values() if ":" in reason}
    gone = {file for file in files if not (ROOT / "tests" / file).exists()}
    assert not gone, f"no such tests: {gone}"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_module_is_without_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
