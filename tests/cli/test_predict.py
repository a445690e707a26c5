"""`sqa-cli predict`, as a person runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from commands import comparing_model, rows, small_model
from sqa_cli.main import main
from sqa_data.atomic import append_alone
from sqa_model import predict


def run(*arguments: object, stdin: bytes | str | None = None, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["predict", *map(str, arguments)], input=stdin)
    assert result.exit_code == code, result.output
    return result


def test_table_and_json(wavs: Path, model: str) -> None:
    files = sorted(wavs.iterdir())
    expected = predict(files, model)
    table = run("wavs", "--model", model).stdout.splitlines()
    assert table[0].split() == ["mos", "mos_std"]
    assert [line.split()[0] for line in table[1:]] == [f"{e['mos']:.3f}" for e in expected]
    printed = [json.loads(line) for line in run("wavs", "--model", model, "--json").stdout.splitlines()]
    assert [row["sample_id"] for row in printed] == [f.stem for f in files]
    for row, scores in zip(printed, expected, strict=True):
        assert row["metrics"] == pytest.approx(scores, abs=1e-5)


def test_results_file_and_scp(wavs: Path, model: str) -> None:
    lines = [
        json.dumps(
            {"audio_path": f"wavs/clip {i:02} ü.wav", "sample_id": f"s{i}", "system_id": f"sys{i % 2}"}
        )
        for i in reversed(range(12))
    ]
    Path("data.jsonl").write_text("\n".join(lines), encoding="utf-8")
    run("data.jsonl", "--model", model, "--out", "out/results.jsonl", "--scp")
    written = rows("out/results.jsonl")
    assert [(r["sample_id"], r["system_id"]) for r in written] == [
        (f"s{i}", f"sys{i % 2}") for i in reversed(range(12))
    ]
    assert written[0]["duration"] == pytest.approx(2.1)
    assert sorted(p.name for p in Path("out").iterdir()) == ["mos.scp", "mos_std.scp", "results.jsonl"]
    scp = [line.split(" ") for line in Path("out/mos.scp").read_text().splitlines()]
    assert [(name, float(value)) for name, value in scp] == [
        (r["sample_id"], r["metrics"]["mos"]) for r in written
    ]


def test_score_takes_the_results(wavs: Path, model: str) -> None:
    run("wavs", "--model", model, "--out", "pred.jsonl")
    with Path("ref.jsonl").open("w", encoding="utf-8") as file:
        for i, row in enumerate(rows("pred.jsonl")):
            file.write(json.dumps({"sample_id": row["sample_id"], "metrics": {"mos": 1 + i / 4}}) + "\n")
    result = CliRunner().invoke(main, ["score", "--ref", "ref.jsonl", "--pred", "pred.jsonl", "--json"])
    assert result.exit_code == 0, result.output
    assert "lcc" in result.stdout.lower()


def test_a_bad_file_is_a_row_and_exit_code_1(wavs: Path, model: str) -> None:
    (wavs / "clip 03 ü.wav").write_text("not audio")
    (wavs / "clip 05 ü.wav").write_bytes(b"")
    result = run("wavs", "absent.wav", "--model", model, "--out", "r.jsonl", code=1)
    assert "3 of 13 clips could not be scored." in result.stderr
    written = rows("r.jsonl")
    assert len(written) == 13
    assert [i for i, r in enumerate(written) if "error" in r] == [3, 5, 12]
    assert "not readable as audio" in written[3]["error"]
    assert "empty" in written[5]["error"]
    assert "no such file" in written[12]["error"]
    # mended, only these are scored again, and the order is that of the input
    soundfile.write(wavs / "clip 03 ü.wav", np.random.default_rng(1).standard_normal(20_000) * 0.1, 16_000)
    run("wavs", "absent.wav", "--model", model, "--out", "r.jsonl", "--resume", code=1)
    mended = rows("r.jsonl")
    assert [r["sample_id"] for r in mended] == [r["sample_id"] for r in written]
    assert [i for i, r in enumerate(mended) if "error" in r] == [5, 12]
    assert all(mended[i] == written[i] for i in (0, 1, 2, 4, 6, 11))


def test_nothing_scored_is_no_table_and_a_listed_folder_is_told_what_to_do(wavs: Path, model: str) -> None:
    Path("list.scp").write_text("a wavs\n")
    result = run("list.scp", "--model", model, code=1)
    assert result.stdout == ""
    assert "a: wavs: is a folder; expected a file; for many clips name each file" in result.stderr
    assert "sqa-cli predict" not in result.stderr


def test_warnings_are_in_the_row(wavs: Path, model: str) -> None:
    soundfile.write("quiet.wav", 1e-3 * np.random.default_rng(0).standard_normal(8_000), 8_000)
    result = run("quiet.wav", "--model", model, "--json")
    (row,) = map(json.loads, result.stdout.splitlines())
    assert [w.split(":")[0] for w in row["warnings"]] == ["low_rate", "quiet", "no_speech"]
    assert "quiet: warning: low_rate" in result.stderr


def test_equal_warnings_of_many_clips_are_one_line_and_stay_in_every_row(wavs: Path, model: str) -> None:
    for i in range(6):
        soundfile.write(
            wavs / f"short {i}.wav", np.random.default_rng(i).standard_normal(3_200) * 0.1, 16_000
        )
    result = run("wavs/short*", "--model", model, "--json")
    found = [json.loads(line)["warnings"] for line in result.stdout.splitlines()]
    assert all(any(text.startswith("short: 0.2 s") for text in warnings) for warnings in found)
    told = [line for line in result.stderr.splitlines() if "short:" in line]
    assert told == [
        "short 0: warning: short: 0.2 s; scores of clips under 0.5 s are unreliable "
        "(short in 5 more: short 1, short 2, short 3, ...)"
    ]


def test_silence_is_an_error_row(wavs: Path, model: str) -> None:
    soundfile.write("hush.wav", np.zeros(16_000), 16_000)
    result = run("hush.wav", "--model", model, "--json", code=1)
    (row,) = map(json.loads, result.stdout.splitlines())
    assert row["error"] == "the clip is silent: all samples are 0; there is nothing to score"
    assert "metrics" not in row


def test_standard_input(wavs: Path, model: str) -> None:
    path = sorted(wavs.iterdir())[0]
    (row,) = map(
        json.loads, run("-", "--model", model, "--json", stdin=path.read_bytes()).stdout.splitlines()
    )
    assert row["sample_id"] == "stdin"
    assert row["metrics"] == pytest.approx(predict(path, model), abs=1e-5)
    listed = run("-", "--model", model, "--json", stdin=f"{path}\n").stdout
    assert json.loads(listed)["metrics"] == pytest.approx(row["metrics"], abs=1e-5)
    assert "standard input is empty" in run("-", "--model", model, stdin=b"", code=1).output


def test_timeline(wavs: Path, model: str) -> None:
    soundfile.write("long.wav", np.random.default_rng(0).standard_normal(80_000) * 0.1, 16_000)
    (row,) = map(json.loads, run("long.wav", "--model", model, "--timeline", 2, "--json").stdout.splitlines())
    assert row["timeline"][0]["start"] == 0
    assert row["timeline"][-1]["end"] == 5
    assert set(row["timeline"][0]["metrics"]) == {"mos", "mos_std"}


def test_several_models_are_one(wavs: Path, model: str, tmp_path: Path) -> None:
    second = small_model(tmp_path / "second", seed=9)
    both = ("wavs", "--model", model, "--model", second)
    run(*both, "--out", "r.jsonl")
    run("wavs", "--model", model, "--out", "one.jsonl")
    run("wavs", "--model", second, "--out", "two.jsonl")
    for row, one, two in zip(rows("r.jsonl"), rows("one.jsonl"), rows("two.jsonl"), strict=True):
        scores = [one["metrics"]["mos"], two["metrics"]["mos"]]
        assert row["metrics"]["mos"] == pytest.approx(np.mean(scores), abs=1e-9)
        assert row["metrics"]["mos_spread"] == pytest.approx(np.std(scores), abs=1e-9)
        marks = [r["model"].partition("/")[0] for r in (one, two)]
        assert row["model"] == f"{marks[0]}+{marks[1]}/{one['model'].partition('/')[2]}"
    assert run(*both).stdout.split()[:3] == ["mos", "mos_spread", "mos_std"]
    # a part of them, or another order, is another model
    whole = Path("r.jsonl").read_bytes()
    Path("r.jsonl").write_bytes(whole[:-40])
    for others in ((model,), (second, model)):
        named = [word for name in others for word in ("--model", name)]
        assert "was scored by model" in run("wavs", *named, "--out", "r.jsonl", "--resume", code=1).output
    run(*both, "--out", "r.jsonl", "--resume")
    assert [r["sample_id"] for r in rows("r.jsonl")] == [r["sample_id"] for r in rows("one.jsonl")]
    assert "models 1 and 2 are the same" in run("wavs", "--model", model, "--model", model, code=1).output


def test_pairs_are_compared_and_judged(wavs: Path, tmp_path: Path) -> None:
    """A pair whose clip is missing is a row with an error; once it is there, --resume asks for that pair alone."""
    model = comparing_model(tmp_path / "model")
    clips = [{"audio_path": f"wavs/clip {i:02} ü.wav", "sample_id": f"c{i}"} for i in range(6)]
    Path("data.jsonl").write_text("".join(json.dumps(clip) + "\n" for clip in clips))
    said = [(i, j, (i - j) / 2) for i in range(6) for j in range(6) if i < j]
    named = [{"a": f"c{i}", "b": f"c{j}", "metrics": {"cmos": cmos}} for i, j, cmos in said]
    Path("pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in named))
    printed = run("--pairs", "pairs.jsonl", "--model", model, "--json").stdout.splitlines()
    table = run("--pairs", "pairs.jsonl", "--model", model).stdout.splitlines()
    assert table[0].split() == ["cmos", "p_a", "p_b", "p_tie"]
    assert table[1].split()[-1] == "c0|c1"

    Path(clips[3]["audio_path"]).rename("away.wav")
    failed = run("--pairs", "pairs.jsonl", "--model", model, "--out", "out.jsonl", code=1)
    assert "5 of 15 pairs could not be scored" in failed.output
    assert sum("error" in row for row in rows("out.jsonl")) == 5
    Path("away.wav").rename(clips[3]["audio_path"])
    run("--pairs", "pairs.jsonl", "--model", model, "--out", "out.jsonl", "--resume")
    for row, line in zip(rows("out.jsonl"), map(json.loads, printed), strict=True):
        assert row["metrics"] == pytest.approx(line["metrics"], abs=1e-5)
        assert {k: v for k, v in row.items() if k != "metrics"} == {
            k: v for k, v in line.items() if k != "metrics"
        }

    judged = CliRunner().invoke(main, ["pairs", "--ref", "pairs.jsonl", "--pred", "out.jsonl", "--json"])
    assert judged.exit_code == 0, judged.output
    expected = np.corrcoef([cmos for *_, cmos in said], [row["metrics"]["cmos"] for row in rows("out.jsonl")])
    assert json.loads(judged.stdout)["pair"]["lcc"] == pytest.approx(expected[0, 1])


def test_existing_results_are_not_overwritten(wavs: Path, model: str, tmp_path: Path) -> None:
    run("wavs", "--model", model, "--out", "r.jsonl")
    before = Path("r.jsonl").read_bytes()
    assert "r.jsonl exists; pass --resume" in run("wavs", "--model", model, "--out", "r.jsonl", code=1).output
    run("wavs", "--model", model, "--out", "r.jsonl", "--resume")
    assert Path("r.jsonl").read_bytes() == before
    other = "has 11 rows of other clips"
    file = sorted(wavs.iterdir())[0]
    assert other in run(file, "--model", model, "--out", "r.jsonl", "--resume", code=1).output
    second = small_model(tmp_path / "second", seed=9)
    said = run("wavs", "--model", second, "--out", "r.jsonl", "--resume", code=1).output
    assert "was scored by model" in said
    assert Path("r.jsonl").read_bytes() == before


def test_resume_drops_a_torn_line(wavs: Path, model: str) -> None:
    run("wavs", "--model", model, "--out", "whole.jsonl")
    whole = Path("whole.jsonl").read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        Path("torn.jsonl").write_bytes(whole[:cut])
        run("wavs", "--model", model, "--out", "torn.jsonl", "--resume")
        got, want = rows("torn.jsonl"), rows("whole.jsonl")
        assert [r["sample_id"] for r in got] == [r["sample_id"] for r in want]
        for g, w in zip(got, want, strict=True):
            assert g["metrics"] == pytest.approx(w["metrics"], abs=1e-5)
    lines = whole.splitlines(keepends=True)
    Path("bad.jsonl").write_bytes(lines[0] + b"{broken\n" + lines[1])
    assert (
        "bad.jsonl:2: not JSON"
        in run("wavs", "--model", model, "--out", "bad.jsonl", "--resume", code=1).output
    )


def test_a_second_process_leaves_the_file_to_the_first(wavs: Path, model: str) -> None:
    with append_alone(Path("r.jsonl")) as file:
        file.write(b"of the first")
        file.flush()
        for more in ((), ("--resume",), ("--shard", "1/2")):
            said = run("wavs", "--model", model, "--out", "r.jsonl", *more, code=1).stderr
            assert (
                said
                == "Error: r.jsonl: another process writes this file; wait for it, or write to another one\n"
            )
    assert Path("r.jsonl").read_bytes() == b"of the first"
    assert sorted(path.name for path in Path().iterdir() if path.name != "wavs") == ["r.jsonl"]


def test_a_name_that_is_not_utf8(wavs: Path, model: str) -> None:
    """B4: scored, written and found again; labelled as well."""
    try:
        (wavs / "clip 03 ü.wav").rename(wavs / os.fsdecode(b"clip 03 \xfc.wav"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    run("wavs", "--model", model, "--out", "r.jsonl")
    before = Path("r.jsonl").read_bytes()
    assert [row["sample_id"] for row in rows("r.jsonl")][3] == "clip 03 \udcfc"
    run("wavs", "--model", model, "--out", "r.jsonl", "--resume")
    assert Path("r.jsonl").read_bytes() == before
    annotated = CliRunner().invoke(main, ["data", "annotate", "r.jsonl", "-m", "lsd", "--reference", "wavs"])
    assert annotated.exit_code == 0, annotated.output
    assert rows("r.labelled.jsonl")[3]["metrics"]["lsd"] == pytest.approx(0, abs=1e-6)


def test_what_a_folder_holds(wavs: Path, model: str) -> None:
    """B5: links are followed, hidden files left alone, what is passed over is counted and named."""
    for path in sorted(wavs.iterdir())[1:]:
        path.unlink()
    (path,) = wavs.iterdir()
    for place in ("elsewhere/a.wave", "wavs/.ipynb_checkpoints/b.wav", "wavs/._c.wav"):
        Path(place).parent.mkdir(exist_ok=True)
        Path(place).write_bytes(path.read_bytes())
    (wavs / "linked").symlink_to(Path("elsewhere").absolute())
    (wavs / "gone.wav").symlink_to("nowhere.wav")
    (wavs / "song.m4a").write_bytes(b"not decoded here")
    (wavs / "notes.txt").touch()
    said = run("wavs", "--model", model, "--out", "r.jsonl", code=1).stderr
    assert "passed over: " in said
    assert "notes.txt" in said
    assert "gone.wav" in said
    found = {row["sample_id"]: row.get("error") for row in rows("r.jsonl")}
    assert found.keys() == {"clip 00 ü", "a", "song"}
    assert {name for name, error in found.items() if error is None} == {"clip 00 ü", "a"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes in the file system")
def test_what_never_ends_is_not_opened(wavs: Path, model: str) -> None:
    """B8: a pipe or device as a clip, as a list, as weights."""
    os.mkfifo("pipe.wav")
    os.mkfifo("pipe.jsonl")
    lines = [json.dumps({"audio_path": path, "sample_id": path}) for path in ("pipe.wav", "/dev/zero")]
    Path("list.jsonl").write_text("\n".join(lines))
    run("list.jsonl", "--model", model, "--out", "r.jsonl", code=1)
    assert all("regular file" in row["error"] for row in rows("r.jsonl"))
    for name in ("predict pipe.jsonl", "data annotate pipe.jsonl -m lsd --reference wavs"):
        result = CliRunner().invoke(main, name.split())
        assert result.exit_code == 1
        assert "pipe.jsonl: not a regular file" in result.stderr
    Path("weights").mkdir()
    Path("weights/config.json").write_bytes(Path(model, "config.json").read_bytes())
    os.mkfifo("weights/model.safetensors")
    assert "model.safetensors" in run("wavs", "--model", "weights", code=1).stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[" * 100_000, "not JSON"),
        ('{"audio_path": "\\ud83d.wav"}', "a lone surrogate"),
        ('{"audio_path": "a\\u0000.wav"}', "expected a path"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "data annotate -m lsd --reference wavs"])
def test_a_row_that_cannot_be_one(wavs: Path, command: str, line: str, message: str) -> None:
    """B9: one error with file and line, whatever reads the list."""
    good = json.dumps({"audio_path": "wavs/clip 00 ü.wav", "sample_id": "a\u2028b", "duration": 1.0})
    Path("data.jsonl").write_text(f"{good}\n{line}\n", encoding="utf-8")
    result = CliRunner().invoke(main, [*command.split(), "data.jsonl"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: data.jsonl:2: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr or "nested too deeply" in result.stderr


def test_an_over_long_path_is_an_error_row(wavs: Path, model: str) -> None:
    lines = [
        json.dumps({"audio_path": path, "sample_id": path[:9]})
        for path in ("x" * 5_000, "wavs/clip 00 ü.wav")
    ]
    Path("data.jsonl").write_text("\n".join(lines), encoding="utf-8")
    run("data.jsonl", "--model", model, "--out", "r.jsonl", code=1)
    assert ["error" in row for row in rows("r.jsonl")] == [True, False]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "sqa_cli", "predict", *map(str, arguments)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_goes_on(wavs: Path, model: str, kind: signal.Signals) -> None:
    rng = np.random.default_rng(0)
    for i in range(60):  # enough work to be killed in the middle
        soundfile.write(wavs / f"long{i}.wav", rng.standard_normal(320_000) * 0.1, 16_000)
    arguments = ("wavs", "--model", model, "--out", "r.jsonl")
    process = subprocess.Popen(
        command(*arguments), env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True
    )
    out = Path("r.jsonl")
    deadline = time.monotonic() + 120
    while process.poll() is None and (not out.exists() or out.stat().st_size < 1_000):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(kind)
    _, said = process.communicate()
    if kind == signal.SIGINT and process.returncode:
        assert "interrupted; the rows so far are in r.jsonl, --resume goes on" in said
        assert "Traceback" not in said
    survived = len(rows_of_whole_lines(out))
    run(*arguments, "--resume")
    written = rows(out)
    assert 0 < survived <= len(written) == 72
    assert [r["sample_id"] for r in written] == sorted(r["sample_id"] for r in written)


def rows_of_whole_lines(path: Path) -> list[str]:
    return [
        line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")
    ]


def test_shards_merge_in_input_order(wavs: Path, model: str) -> None:
    run("wavs", "--model", model, "--out", "whole.jsonl")
    for i in (3, 1, 2):
        assert not Path("r.jsonl").exists()
        run("wavs", "--model", model, "--out", "r.jsonl", "--shard", f"{i}/3")
    got, want = rows("r.jsonl"), rows("whole.jsonl")
    assert [r["sample_id"] for r in got] == [r["sample_id"] for r in want]
    for g, w in zip(got, want, strict=True):
        assert g["metrics"] == pytest.approx(w["metrics"], abs=1e-5)
    assert not list(Path().glob("r.jsonl.*"))
    run("wavs", "--model", model, "--out", "r.jsonl", "--shard", "1/3", "--resume")  # all is done
    assert rows("r.jsonl") == got


@pytest.mark.slow
def test_torchrun(wavs: Path, model: str) -> None:
    arguments = ["wavs", "--model", model, "--out", "r.jsonl"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*launch, "-m", "sqa_cli", "predict", *arguments], env=environment, check=True)
    run("wavs", "--model", model, "--out", "whole.jsonl")
    assert [r["sample_id"] for r in rows("r.jsonl")] == [r["sample_id"] for r in rows("whole.jsonl")]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Missing argument"),
        (["-", "--pairs", "pairs.jsonl"], 2, "must be the only input"),
        (["--pairs", "pairs.jsonl", "--timeline", "1"], 2, "are of single clips"),
        (["--pairs", "pairs.jsonl", "--model", "a", "--model", "b"], 2, "--pairs needs one --model"),
        (["--pairs", "pairs.jsonl"], 1, "no comparative head"),
        (["wavs", "--resume"], 2, "need --out"),
        (["-", "wavs"], 2, "must be the only input"),
        (["empty"], 1, "empty: no audio found"),
        (["wavs", "--shard", "4/3", "--out", "r.jsonl"], 2, "shard is 4/3; expected I/N"),
        (["wavs", "--model", "nowhere"], 1, "nowhere: no such file or folder"),
        (["wavs", "--device", "tpu"], 1, "device is 'tpu'"),
        (["wavs", "--dtype", "int3"], 1, "dtype is 'int3'"),
        (["wavs/clip 00 ü.wav", "wavs/clip 00 ü.wav"], 1, "2 clips are called"),
    ],
)
def test_wrong_usage_is_told(wavs: Path, model: str, arguments: list[str], code: int, message: str) -> None:
    Path("empty").mkdir()
    Path("pairs.jsonl").write_text('{"audio_paths": ["wavs/a.wav", "wavs/b.wav"]}\n')
    options = [] if "--model" in arguments else ["--model", model]
    result = run(*arguments, *options, code=code)
    assert message in result.output
    assert "Traceback" not in result.output


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from sqa_cli.main import main\n"
        "for name in ('predict', 'convert', 'submit'):\n"
        "    assert 'Examples:' in CliRunner().invoke(main, [name, '--help']).output\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
