"""What people see: nothing in a name moves the cursor, tables fit, notes stand above the bars."""

import ast
import json
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from sqa_cli import terminal
from sqa_cli.terminal import entry, printable, say_json, table

NASTY = "a\x1b]0;title\x07\x1b[2Jb\u2028\u202e\x9b31m\udcff"


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_names_are_shown_escaped() -> None:
    assert printable(NASTY) == r"a\x1b]0;title\x07\x1b[2Jb\u2028\u202e\x9b31m\udcff"
    assert printable("é 音") == "é 音"


def test_json_is_safe_and_reads_back(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    say_json({"id": NASTY + "é"})
    written = capfdbinary.readouterr().out
    assert json.loads(written) == {"id": NASTY + "é"}
    assert "é".encode() in written
    assert printable(written.decode().rstrip("\n")) + "\n" == written.decode()


def test_tables_fit_and_lose_nothing() -> None:
    header = ["corpus", "split", *(f"column{i}" for i in range(12)), "others"]
    rows = [["chime", "train", *(f"{i * 1000:,}" for i in range(12)), "one, two, three, " * 20], ["b"] * 15]
    lines = table(header, rows, right=" ".join(header[2:14]), keys=2)
    assert max(map(len, lines)) <= 80
    blocks = "\n".join(lines).split("\n\n")
    assert len(blocks) == 3
    assert all(block.splitlines()[0].split()[:2] == ["corpus", "split"] for block in blocks)
    words = " ".join(lines).split()
    assert all(word in words for word in [*header, "11,000", "three,"])
    # numbers end where their heads end
    first = blocks[0].splitlines()
    assert first[0].index("column3") + len("column3") == first[1].index("3,000") + len("3,000")


def test_a_table_of_a_wide_terminal_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert "" not in table(["name", *"abcdefgh"], [["x" * 20] * 9])


def test_a_fact_hangs_below_its_beginning() -> None:
    lines = entry("licence", "word " * 40)
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("licence   word word")
    assert all(line.startswith("          word") for line in lines[1:])
    assert entry("a-long-name:", "title") == ["a-long-name: title"]


def test_no_other_module_prints(root: Path) -> None:
    wrong = []
    for path in (root / "packages/sqa-cli/src/sqa_cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and path.name != "terminal.py":
                name = ast.unparse(node.func)
                wrong += [f"{path.name}:{node.lineno}: {name}"] if name in ("print", "click.echo") else []
    assert not wrong, "\n".join(wrong)


BUSY = """
import logging, warnings
from sqa_cli import terminal
terminal.show_log("library", logging.INFO)
with terminal.bars() as show:
    for done in range(4):
        show("work[/] \\x1b[2J", done, 3, f"loss {done}")
        logging.getLogger("library").info("update %d [of] 3\\nsecond line", done)
        terminal.note(f"clip\\x1b[2J {done}")
        if done == 1:
            warnings.warn("from elsewhere")
terminal.note("after")
"""


def seen(script: str) -> str:
    """What a terminal of 80 columns shows of the stderr of a Python script, the bars' own redrawing left out."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen([sys.executable, "-c", script], stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # how Linux says that the other side is closed
                break
            if not block:
                break
            shown += block
        process.wait()
    os.close(ours)
    assert process.returncode == 0
    return shown.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_log_lines_stand_above_the_bar() -> None:
    lines = [line.split("\x1b[2K")[-1].strip() for line in seen(BUSY).replace("\r", "").split("\n")]
    for done in range(4):
        assert f"update {done} [of] 3" in lines
        assert rf"clip\x1b[2J {done}" in lines
    assert "second line" in lines
    assert "after" in lines
    assert any("from elsewhere" in line for line in lines)


def test_no_bar_and_the_same_notes_where_nobody_watches() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BUSY], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    assert done.stderr.splitlines()[:3] == ["update 0 [of] 3", "second line", r"clip\x1b[2J 0"]
    assert done.stderr.splitlines()[-1] == "after"
    assert "work" not in done.stderr


def test_the_log_handler_is_not_doubled() -> None:
    for _ in range(2):
        terminal.show_log("sqa_test_of_terminal", logging.INFO)
    assert len(logging.getLogger("sqa_test_of_terminal").handlers) == 1
