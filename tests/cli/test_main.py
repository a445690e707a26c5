"""The table of commands, exit codes, and standard streams that are closed or full."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
import sqa_cli
from click.testing import CliRunner
from commands import run
from sqa_cli.data.group import COMMANDS as DATA_COMMANDS
from sqa_cli.main import COMMANDS, main
from sqa_data import DataError
from sqa_metrics import MetricsError
from sqa_model import CheckpointError, ModelError

SHOW = f"{sys.executable} -m sqa_cli data show"


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", [MetricsError, DataError, ModelError, CheckpointError])
def test_an_error_of_a_package_is_one_line(kind: type[Exception]) -> None:
    @click.command(cls=type(main), invoke_without_command=True)
    def broken() -> None:
        raise kind("a.jsonl:3: found 'x\x1b[2J'; expected y\n  then z")

    result = CliRunner().invoke(broken, [])
    assert result.exit_code == 1
    assert result.stderr == "Error: a.jsonl:3: found 'x\\x1b[2J'; expected y\n  then z\n"


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    @click.command(cls=type(main), invoke_without_command=True)
    def broken() -> None:
        raise KeyError("ours")

    assert isinstance(CliRunner().invoke(broken, []).exception, KeyError)


def test_the_machine_s_refusals_name_the_file(tmp_path: Path) -> None:
    @click.command(cls=type(main), invoke_without_command=True)
    def broken() -> None:
        (tmp_path / "absent" / "file").open("w")

    result = CliRunner().invoke(broken, [])
    assert result.exit_code == 1
    assert result.stderr == f"Error: {tmp_path}/absent/file: No such file or directory\n"


def test_exit_codes() -> None:
    run("--help")
    run("data", "show", "nope", code=1)
    run("nope", code=2)
    run("data", "show", code=2)


def test_every_command_is_listed_with_one_line() -> None:
    lines = CliRunner().invoke(main, ["--help"]).output.splitlines()
    for name, (_, line) in COMMANDS.items():
        assert any(text.split() == [name, *line.split()] for text in lines), name


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", ["data show bvcc", "data show bvcc --json", "--help", "data --help"])
def test_a_full_disk_behind_stdout(arguments: str) -> None:
    done = shell(f"{sys.executable} -m sqa_cli {arguments} > /dev/full")
    assert done.returncode == 1
    assert done.stderr.endswith("No space left on device\n")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_closed_streams(tmp_path: Path) -> None:
    # results that nobody can receive are an error
    done = shell(f"{SHOW} bvcc >&-")
    assert (done.returncode, done.stderr) == (1, "Error: standard output: Bad file descriptor\n")
    # notes that nobody wants are not
    assert shell(f"{SHOW} bvcc 2>&-").stdout == shell(f"{SHOW} bvcc").stdout
    assert shell(f"{SHOW} nope 2>&-").returncode == 1
    assert shell(f"{SHOW} nope 2>/dev/full").returncode == 1
    # a file that is opened does not take the place of a closed stream
    (tmp_path / "a.jsonl").write_text(
        '{"audio_path": "a.wav", "sample_id": "a", "system_id": "s", "duration": 1}\n'
    )
    done = shell(f"cd {tmp_path} && {sys.executable} -m sqa_cli data merge a.jsonl --out b.jsonl >&- 2>&-")
    assert (tmp_path / "b.jsonl").read_text().count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_reader_that_leaves_is_no_error() -> None:
    done = shell(f"{SHOW} bvcc | head -1")
    assert done.stdout.startswith("corpus    bvcc: BVCC")
    assert done.stderr == ""


TOY = '''
"""`sqa-cli toy`: count manifests."""

import click

from sqa_cli.terminal import say


@click.command()
@click.argument("name")
def toy(name: str) -> None:
    """Say whether a corpus is known."""
    from sqa_data import get_corpus

    say(get_corpus(name).title)
'''


@pytest.mark.parametrize("table", [COMMANDS, DATA_COMMANDS])
def test_a_toy_command_by_the_steps_of_contributing(
    table: dict[str, tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A click command in a module, and one row of `COMMANDS`."""
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.setattr(sqa_cli, "__path__", [*sqa_cli.__path__, str(tmp_path)])
    monkeypatch.setitem(table, "toy", ("sqa_cli.toy:toy", "Is it known?"))
    group = [] if table is COMMANDS else ["data"]
    assert "Is it known?" in run(*group, "--help")
    assert "Say whether" in run(*group, "toy", "--help")
    assert run(*group, "toy", "bvcc").startswith("BVCC")
    assert run(*group, "toy", "nope", code=1).startswith("Error: no corpus 'nope'")
    sys.modules.pop("sqa_cli.toy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("predict . --device tpu", "device is 'tpu'; expected auto, cpu"),
        ("predict . --device mps", "device is 'mps'"),
        ("predict . --dtype int3", "dtype is 'int3'"),
        ("predict . --window -1", "window_s is -1"),
        ("predict . --timeline 0", "timeline_s is 0"),
        ("predict . --batch-seconds 0", "batch_seconds is 0"),
        ("predict . --workers 0", "workers is 0"),
        ("predict . --model nosuch", "nosuch: no such file or folder"),
        ("predict nothing/*.wav", "nothing/*.wav: no audio found"),
        ("predict . --out here.jsonl", "here.jsonl exists; pass --resume"),
        ("predict . --out here.jsonl --shard 1/2", "here.jsonl exists; pass --resume"),
        ("convert nosuch folder", "nosuch: no such file or folder"),
        ("train --preset mini --set optim.lrr=1 --out run", "optim.lrr: no such field; did you mean 'lr'?"),
        ("train --preset mini --set run.device=tpu --out run", "run.device: found 'tpu'"),
        (
            "train --preset mini --data here.jsonl --dev here.jsonl --out full",
            "full: found something that is no",
        ),
    ],
)
def test_told_before_torch_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    """Torch takes seconds; it cannot be imported here at all (C7)."""
    (tmp_path / "here.jsonl").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    monkeypatch.chdir(tmp_path)
    code = (
        f"import sys; sys.modules['torch'] = None; from sqa_cli.main import main; main({arguments.split()!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert done.stdout == ""
