"""`sqa-cli data annotate`: what a person types, what comes out, what the exit code says."""

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from click.testing import CliRunner, Result
from sqa_cli.main import main
from sqa_data import Utterance, read_manifest, write_manifest

RATE = 16000


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = []
    for index in range(3):
        clean = 0.1 * rng.standard_normal(RATE)
        for name, x in (("c", clean), ("n", clean + 0.05 * rng.standard_normal(RATE))):
            sf.write(tmp_path / f"{name} {index}.wav", x, RATE)  # a space: paths are not split
        extra = {"reference_path": f"c {index}.wav"}
        rows.append(Utterance(str(tmp_path / f"n {index}.wav"), f"u{index}", 1.0, {}, extra=extra))
    write_manifest(tmp_path / "data.jsonl", rows)
    return tmp_path / "data.jsonl"


def test_labels_and_summary(corpus: Path) -> None:
    result = run("data", "annotate", corpus, "-m", "si_sdr, target=lsd")
    assert result.exit_code == 0, result.output
    assert "si_sdr               3 of 3 clips" in result.output
    assert "target               3 of 3 clips" in result.output
    rows = read_manifest(corpus.with_name("data.labelled.jsonl"))
    assert all(set(row.metrics) == {"si_sdr", "target"} for row in rows)


def test_json_summary_and_errors(corpus: Path) -> None:
    corpus.with_name("n 1.wav").write_bytes(b"not audio")
    result = run("data", "annotate", corpus, "-m", "si_sdr", "--json")
    assert result.exit_code == 1  # a clip failed
    summary = json.loads(result.stdout)
    assert summary["labelled"] == {"si_sdr": 2}
    assert summary["clips"] == 3
    assert summary["errors"][0]["sample_id"] == "u1"


def test_warnings_are_shown_and_cost_nothing(corpus: Path) -> None:
    for index in range(3):
        clip, rate = sf.read(corpus.with_name(f"n {index}.wav"))
        sf.write(corpus.with_name(f"n {index}.wav"), np.roll(clip, 800), rate)
    result = run("data", "annotate", corpus, "-m", "lsd")
    assert result.exit_code == 0
    assert re.search("warning: u2: .*misaligned: the clip is 50.0 ms behind its reference", result.stderr)
    summary = json.loads(run("data", "annotate", corpus, "-m", "lsd", "--json").stdout)
    assert [row["sample_id"] for row in summary["warnings"]] == ["u0", "u1", "u2"]


def test_nothing_came_out(corpus: Path) -> None:
    for index in range(3):
        corpus.with_name(f"n {index}.wav").write_bytes(b"not audio")
    result = run("data", "annotate", corpus, "-m", "si_sdr")
    assert result.exit_code == 1
    assert "error: u0" in result.output


def test_the_last_shard_writes_the_manifest(corpus: Path) -> None:
    first = run("data", "annotate", corpus, "-m", "lsd", "--shard", "2/2").output
    assert "part 2 of 2: 1 clips, 0 with an error; the last part to finish writes the manifest" in first
    result = run("data", "annotate", corpus, "-m", "lsd", "--shard", "1/2", "--json")
    assert json.loads(result.stdout)["computed"] == 2
    assert json.loads(result.stdout)["labelled"] == {"lsd": 3}
    assert len(read_manifest(corpus.with_name("data.labelled.jsonl"))) == 3


def test_what_a_shard_lacks_is_said(corpus: Path) -> None:
    run("data", "annotate", corpus, "-m", "lsd", "--shard", "2/2")
    corpus.with_name("data.labelled.jsonl.log.2-of-2").write_bytes(b"")  # as if it had been killed
    assert (
        "1 results of other parts are missing: run those again"
        in run("data", "annotate", corpus, "-m", "lsd", "--shard", "1/2").output
    )
    assert (
        "1 results are not computed yet"
        in run("data", "annotate", corpus, "-m", "lsd", "--no-compute").output
    )


@pytest.fixture
def real(shared: Path, tmp_path: Path) -> Path:
    """Seven real noisy clips, 2 to 7 s, with their references."""
    folder = shared / "data" / "speech_samples"
    pairs = [(c, folder / "vctk_demand_pairs" / "noisy" / c.name) for c in
             sorted((folder / "vctk_demand_pairs" / "clean").iterdir())]  # fmt: skip
    pairs.append((folder / "pesq_pair" / "speech.wav", folder / "pesq_pair" / "speech_bab_0dB.wav"))
    write_manifest(
        tmp_path / "real.jsonl",
        [
            Utterance(str(n), n.stem, sf.info(n).duration, {}, extra={"reference_path": str(c)})
            for c, n in pairs
        ],
    )
    return tmp_path / "real.jsonl"


@pytest.mark.slow
def test_torchrun(real: Path) -> None:
    """Two processes of a real launch: every result computed once, the manifest that of one process."""
    whole, out = real.with_name("whole.jsonl"), real.with_name("two.jsonl")
    arguments = ["data", "annotate", str(real), "-m", "pesq,stoi,lsd"]
    assert run(*arguments, "-o", whole).exit_code == 0
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, "-m", "sqa_cli", *arguments, "-o", str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"wrote {out}" in done.stdout
    found, expected = read_manifest(out), read_manifest(whole)
    assert [row.sample_id for row in found] == [row.sample_id for row in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert set(ours.metrics) == {"pesq", "stoi", "lsd"}
        # pystoi draws noise to keep away from 0/0: its last digits move
        assert ours.metrics == pytest.approx(theirs.metrics, rel=1e-9)
    logs = [path.read_bytes().splitlines() for path in sorted(real.parent.glob("two.jsonl.log.?-of-2"))]
    assert [len(lines) for lines in logs] == [4 * 3, 3 * 3]
    keys = {(row["audio"], row["version"]) for lines in logs for row in map(json.loads, lines)}
    assert len(keys) == 7 * 3


def start(*arguments: str | Path, stderr: int) -> subprocess.Popen[str]:
    """The command in a process group of its own, as a shell starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "sqa_cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        process_group=0,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_the_bar_is_for_terminals(real: Path) -> None:
    ours, theirs = pty.openpty()
    process = start("data", "annotate", real, "-m", "pesq,stoi,lsd", stderr=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that the other side is closed
        while block := os.read(ours, 65536):
            shown += block
    os.close(ours)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown)
    counts = [int(number) for number in re.findall(rb"(\d)/7", plain)]
    assert counts[-1] == 7
    assert counts == sorted(counts)
    assert len(set(counts)) > 2  # it moved
    assert "7 of 7 clips" in said
    assert "/7" not in said  # results are for stdout, the bar is not

    again = start("data", "annotate", real, "-m", "pesq,stoi,lsd", "--overwrite", stderr=subprocess.PIPE)
    assert again.communicate(timeout=60)[1] == ""
    assert again.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("results", [0, 5])
def test_ctrl_c(real: Path, results: int) -> None:
    """To the whole process group, as a terminal sends it: one line is said, what is done is kept."""
    log = real.with_name("real.labelled.jsonl.log")
    arguments = ("data", "annotate", real, "-m", "pesq,stoi,estoi,lsd,si_sdr", "-j", "2")
    process = start(*arguments, stderr=subprocess.PIPE)
    while process.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= results):
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "stopped; what is done is kept: the same command goes on from here\n"
    kept = log.read_bytes()
    assert kept.endswith(b"\n") or not kept
    assert results <= kept.count(b"\n") < 7 * 5
    summary = json.loads(run(*arguments[:-2], "--json").stdout)
    assert summary["computed"] == 7 * 5 - kept.count(b"\n")
    assert summary["labelled"] == dict.fromkeys(("pesq", "stoi", "estoi", "lsd", "si_sdr"), 7)
    assert log.read_bytes().startswith(kept)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-m", "nope"], 1, "unknown metric 'nope'; known: distill_mos"),
        ([], 2, "give MANIFEST and --metrics, or --list"),
        (["-m", "lsd", "--shard", "0/2"], 2, "expected I/N with I from 1 to N"),
        (["-m", "lsd", "--shard", "3/2"], 2, "expected I/N with I from 1 to N"),
        (["-m", "lsd,x=lsd"], 1, "asked for twice"),
        (["-m", ","], 1, "names no metric"),
    ],
)
def test_mistakes(corpus: Path, arguments: list[str], code: int, message: str) -> None:
    result = run("data", "annotate", corpus, *arguments)
    assert result.exit_code == code
    assert message in result.output
    assert "Traceback" not in result.output


def test_list_says_what_is_missing() -> None:
    rows = json.loads(run("data", "annotate", "--list", "--json").stdout)
    by_name = {row["metric"]: row for row in rows}
    assert by_name["pesq"]["needs"] == "reference"
    assert all(bool(row["version"]) != bool(row["install"]) for row in rows)
    assert by_name["pesq"]["rate"] == "8, 16 kHz"
    assert (by_name["pesq"]["lowest"], by_name["pesq"]["highest"]) == (0.999, 4.644)
    assert (by_name["si_sdr"]["lowest"], by_name["si_sdr"]["highest"]) == (
        -50,
        50,
    )  # others' labels may be more
    assert (by_name["lsd"]["lowest"], by_name["lsd"]["highest"]) == (0, None)
    assert {row["channels"] for row in rows} == {"mean"}
    assert all(row["source"] and row["package"] and row["verified"] for row in rows)
    shown = run("data", "annotate", "--list").output
    for row in rows:
        needs = "pair" if row["needs"] == "reference" else "clip"
        assert re.search(
            rf"^{row['metric']} +{needs} +\S*\.\.\S* +{row['rate']} +{re.escape(row['source'])}$", shown, re.M
        )
    table = shown.partition("\npesqc2: ")[0] if "\npesqc2: " in shown else shown
    assert max(map(len, table.splitlines())) <= 80


TOY = '''
"""The loudest sample of a clip."""

def peak(device, fast):
    """Peak by NumPy."""
    import numpy as np

    def score(clip):
        return {"toy_peak": float(np.abs(clip.samples()).max())}

    return score
'''


def test_a_toy_labeller_by_the_steps_of_contributing(corpus: Path, tmp_path: Path) -> None:
    """A file with `load`, a row of `ADAPTERS`, a range: made in a copy of the package, as a person would edit it."""
    import sqa_data

    package = shutil.copytree(Path(sqa_data.__file__).parent, tmp_path / "edited" / "sqa_data")
    (package / "labellers" / "toy.py").write_text(TOY)
    for file, table, row in (
        ("labellers/__init__.py", "ADAPTERS = (", 'Adapter(("toy_peak",), "toy:peak", "numpy"),'),
        ("labels.py", "RANGES: dict[str, tuple[float, float]] = {", '"toy_peak": (0.0, 1.0),'),
    ):
        text = (package / file).read_text()
        assert text.count(f"\n{table}\n") == 1
        (package / file).write_text(text.replace(table, f"{table}\n    {row}"))

    def edited(*arguments: str) -> str:
        command = [sys.executable, "-m", "sqa_cli", "data", *arguments]
        environment = os.environ | {"PYTHONPATH": str(package.parent)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert re.search(
        r"toy_peak +clip +0\.\.1 +own\n(?s:.*)toy_peak +peak:numpy-", edited("annotate", "--list")
    )
    out = tmp_path / "toy.jsonl"
    assert "toy_peak " in edited("annotate", str(corpus), "-m", "toy_peak", "--jobs", "2", "--out", str(out))
    for row in read_manifest(out):
        assert row.metrics["toy_peak"] == pytest.approx(np.abs(sf.read(row.audio_path)[0]).max())
