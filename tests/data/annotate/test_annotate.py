"""Annotate: every clip labelled once, nothing lost, errors in rows, any interruption resumed exactly."""

import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import types
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile as sf
from sqa_data import DataError, Utterance, read_manifest, write_manifest
from sqa_data.annotate.log import Result, append, appending, read_logs
from sqa_data.annotate.run import annotate
from sqa_data.labellers import ADAPTERS, LABELS, Adapter, Signals, adapter_of
from sqa_data.shares import Share

RATE = 16000
CLIPS = 6


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A manifest of six noisy clips with references beside it."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(CLIPS):
        clean = 0.1 * rng.standard_normal(RATE)
        sf.write(tmp_path / f"clean{index}.wav", clean, RATE)
        sf.write(
            tmp_path / f"noisy {index}.wav", clean + 0.02 * index * rng.standard_normal(RATE) + 1e-3, RATE
        )
        extra = {"reference_path": f"clean{index}.wav", "kept": index}
        path = str(tmp_path / f"noisy {index}.wav")
        rows.append(Utterance(path, f"u{index}", 1.0, {"mos": 3.0}, system_id="s", extra=extra))
    write_manifest(tmp_path / "data.jsonl", rows)
    return tmp_path / "data.jsonl"


def labels(path: Path) -> dict[str, dict[str, float]]:
    return {row.sample_id: dict(row.metrics) for row in read_manifest(path)}


def test_labels_are_added_and_the_rest_is_kept(corpus: Path) -> None:
    seen: list[tuple[int, int]] = []
    summary = annotate(corpus, ["si_sdr", "lsd"], progress=lambda *done: seen.append(done))
    assert summary.out == corpus.with_name("data.labelled.jsonl")
    assert summary.labelled == {"si_sdr": CLIPS, "lsd": CLIPS}
    assert summary.computed == 2 * CLIPS
    assert seen == [(n, CLIPS) for n in range(CLIPS + 1)]
    for index, row in enumerate(read_manifest(summary.out)):
        assert row.metrics["mos"] == 3.0
        assert row.system_id == "s"
        assert row.extra["kept"] == index
        assert Path(row.extra["reference_path"]) == corpus.parent / f"clean{index}.wav"
    noise = [row.metrics["si_sdr"] for row in read_manifest(summary.out)]
    assert noise == sorted(noise, reverse=True)
    assert not Path(f"{summary.out}.errors.jsonl").exists()


def test_nothing_is_computed_twice(corpus: Path) -> None:
    first = annotate(corpus, ["si_sdr"])
    before = first.out.read_bytes()
    again = annotate(corpus, ["si_sdr"])
    assert again.computed == 0
    assert again.out.read_bytes() == before
    more = annotate(corpus, ["si_sdr", "lsd"])
    assert more.computed == CLIPS


def test_a_metric_under_another_label(corpus: Path) -> None:
    plain = labels(annotate(corpus, ["lsd"]).out)
    stored = labels(annotate(corpus, ["target=lsd", "si_sdr"]).out)
    assert {k: v["target"] for k, v in stored.items()} == {k: v["lsd"] for k, v in plain.items()}
    assert "lsd" not in stored["u0"]
    kept = annotate(corpus, ["mos=lsd"])
    assert kept.computed == 0
    assert labels(kept.out)["u0"]["mos"] == 3.0  # listeners' labels stay
    assert labels(annotate(corpus, ["mos=lsd"], overwrite=True).out)["u0"]["mos"] == plain["u0"]["lsd"]
    with pytest.raises(DataError, match="names no metric"):
        annotate(corpus, [])
    with pytest.raises(DataError, match="'lsd' is asked for twice"):
        annotate(corpus, ["lsd", "mos=lsd"])


def test_a_renamed_or_repeated_clip_is_known(corpus: Path) -> None:
    annotate(corpus, ["si_sdr"])
    rows = read_manifest(corpus)
    shutil.copy(rows[0].audio_path, corpus.parent / "renamed.wav")
    copy = Utterance(str(corpus.parent / "renamed.wav"), "copy", 1.0, {}, extra=rows[0].extra)
    write_manifest(corpus, [*rows, copy])
    summary = annotate(corpus, ["si_sdr"])
    assert summary.computed == 0
    assert labels(summary.out)["copy"]["si_sdr"] == labels(summary.out)["u0"]["si_sdr"]


def test_changed_audio_is_measured_again(corpus: Path) -> None:
    annotate(corpus, ["si_sdr"])
    sf.write(corpus.parent / "noisy 3.wav", 0.1 * np.random.default_rng(9).standard_normal(RATE), RATE)
    summary = annotate(corpus, ["si_sdr"])
    assert summary.computed == 1
    assert labels(summary.out)["u3"]["si_sdr"] < 0


def test_existing_labels_stay_unless_overwritten(corpus: Path) -> None:
    rows = read_manifest(corpus)
    rows[1] = Utterance(rows[1].audio_path, "u1", 1.0, {"si_sdr": 99.0}, extra=rows[1].extra)
    write_manifest(corpus, rows)
    kept = annotate(corpus, ["si_sdr"])
    assert kept.computed == CLIPS - 1
    assert labels(kept.out)["u1"]["si_sdr"] == 99.0
    replaced = annotate(corpus, ["si_sdr"], overwrite=True)
    assert labels(replaced.out)["u1"]["si_sdr"] < 60


def test_failing_clips_become_rows(corpus: Path) -> None:
    folder = corpus.parent
    (folder / "noisy 1.wav").write_bytes(b"this is not audio")
    sf.write(folder / "clean2.wav", np.zeros(RATE), RATE)
    sf.write(folder / "noisy 3.wav", np.arange(100) / 100, RATE)  # far shorter than its reference
    (folder / "noisy 4.wav").unlink()
    summary = annotate(corpus, ["si_sdr"])
    assert summary.labelled == {"si_sdr": 2}
    rows = [json.loads(line) for line in Path(f"{summary.out}.errors.jsonl").read_text().splitlines()]
    assert {row["sample_id"]: row["metric"] for row in rows} == dict.fromkeys(
        ("u1", "u2", "u3", "u4"), "si_sdr"
    )
    errors = {row["sample_id"]: row["error"] for row in rows}
    assert "noisy 1.wav: not readable as audio" in errors["u1"]
    assert "the reference is silent" in errors["u2"]
    assert "expected the same speech, aligned" in errors["u3"]
    assert "No such file" in errors["u4"]
    assert len(read_manifest(summary.out)) == CLIPS  # no clip is dropped

    assert annotate(corpus, ["si_sdr"]).computed == 0  # known to fail
    sf.write(folder / "noisy 4.wav", 0.1 * np.random.default_rng(1).standard_normal(RATE), RATE)
    assert annotate(corpus, ["si_sdr"]).computed == 1
    assert annotate(corpus, ["si_sdr"], retry_errors=True).computed == 3
    for index in range(1, 4):
        for name in ("clean0.wav", "noisy 5.wav"):
            shutil.copy(
                folder / name, folder / (f"clean{index}.wav" if name[0] == "c" else f"noisy {index}.wav")
            )
    assert annotate(corpus, ["si_sdr"]).errors == []
    assert not Path(f"{summary.out}.errors.jsonl").exists()  # none of an earlier run stays


def test_a_reference_whose_name_holds_a_nul_is_a_row(corpus: Path) -> None:
    rows = read_manifest(corpus)
    write_manifest(corpus, [replace(rows[0], extra={"reference_path": "a\0.wav"}), *rows[1:]])
    (error,) = annotate(corpus, ["si_sdr"]).errors
    assert error["sample_id"] == "u0"
    assert "a\\x00.wav': cannot read the audio: embedded null byte" in error["error"]


def test_a_clip_has_one_error_row(corpus: Path) -> None:
    corpus.with_name("noisy 1.wav").write_bytes(b"this is not audio")
    sf.write(corpus.with_name("noisy 2.wav"), np.zeros(RATE), RATE)
    summary = annotate(corpus, ["si_sdr", "stoi", "lsd"])
    assert {row["sample_id"]: row["metric"] for row in summary.errors} == {
        "u1": "si_sdr,stoi,lsd",
        "u2": "si_sdr,stoi,lsd",
    }
    assert len(summary.errors) == 2
    assert summary.errors[0]["error"].count("not readable as audio") == 1  # said once, not once a metric
    assert summary.labelled == {"si_sdr": 4, "stoi": 4, "lsd": 4}
    rows = read_manifest(corpus)
    rows[2] = Utterance(rows[2].audio_path, "u2", 1.0, {"si_sdr": 1.0, "lsd": 1.0}, extra=rows[2].extra)
    write_manifest(corpus, rows)
    assert [row["sample_id"] for row in annotate(corpus, ["si_sdr", "lsd"]).errors] == ["u1"]


def test_what_may_mislead_is_said(corpus: Path) -> None:
    """In the log, in rows, in the summary; of a clip by itself as of the pair; known without computing anew."""
    folder, rng = corpus.parent, np.random.default_rng(5)
    speech = 0.1 * rng.standard_normal(RATE + 800)
    sf.write(folder / "clean0.wav", speech[800:], RATE)
    sf.write(folder / "noisy 0.wav", speech[:RATE], RATE)  # 50 ms late
    sf.write(folder / "noisy 1.wav", np.clip(40 * sf.read(folder / "clean1.wav")[0], -1, 1), RATE)
    clean = sf.read(folder / "clean2.wav")[0]
    sf.write(folder / "noisy 2.wav", np.stack([clean, 1e-3 - 0.99 * clean], axis=1), RATE)
    sf.write(folder / "clean3.wav", 1e-3 * sf.read(folder / "clean3.wav")[0], RATE, subtype="FLOAT")
    sf.write(folder / "noisy 4.wav", sf.read(folder / "noisy 4.wav")[0][: RATE - 640], RATE)
    expected = {
        "u0": "misaligned: the clip is 50.0 ms behind its reference",
        "u1": r"clipped: \d+\.\d % of the samples lie flat at the peak",
        "u2": "opposite: the channels cancel out: their mean is .* dB below them; take one channel instead",
        "u3": "reference quiet: -80 dB of full scale",
        "u4": "lengths: the last 40 ms of the reference are not compared",
    }
    for _ in range(2):
        summary = annotate(corpus, ["si_sdr", "lsd"])
        found = said(summary.warnings)
        assert found.keys() == expected.keys()
        assert all(re.fullmatch(expected[name], found[name]) for name in expected), found
    file = Path(f"{summary.out}.warnings.jsonl")
    assert [json.loads(line) for line in file.read_text().splitlines()] == summary.warnings
    for index in range(5):
        for name in (f"clean{index}.wav", f"noisy {index}.wav"):
            shutil.copy(folder / "noisy 5.wav", folder / name)
    assert said(annotate(corpus, ["si_sdr"]).warnings) == {}


def test_a_file_that_ends_before_its_header_says_is_told(corpus: Path, length: Adapter) -> None:
    file = corpus.parent / "noisy 0.wav"
    file.write_bytes(file.read_bytes()[: -RATE // 2 * 2])  # of 16 bits: half a second
    told = said(annotate(corpus, ["length"]).warnings)
    assert told.keys() == {"u0"}
    assert re.fullmatch(r"short_of_header: .* 1\.00 s.* 0\.50 s.*", told["u0"]), told


def said(warnings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The warning of each clip, but for `no_speech`: the clips here are noise."""
    told = {row["sample_id"]: row["warning"].split("; ") for row in warnings}
    rest = {name: [text for text in texts if "no_speech:" not in text] for name, texts in told.items()}
    return {name: "; ".join(texts) for name, texts in rest.items() if texts}


@pytest.fixture
def length(monkeypatch: pytest.MonkeyPatch) -> Adapter:
    """A metric without reference, which counts its calls: the number of samples."""
    module = types.ModuleType("sqa_data.labellers.fake")
    module.calls = []  # type: ignore[attr-defined]

    def load(device: str, fast: bool) -> object:
        def score(clip: Signals) -> dict[str, float]:
            module.calls.append(clip.path.name)
            return {"length": float(len(clip.samples(RATE)))}

        return score

    module.length = load  # type: ignore[attr-defined]
    adapter = Adapter(("length",), "fake:length", "sqa-data")
    monkeypatch.setitem(sys.modules, "sqa_data.labellers.fake", module)
    monkeypatch.setitem(LABELS, "length", adapter)
    return adapter


def test_of_a_metrics_labels_those_that_are_missing_are_added(
    corpus: Path, length: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Adapter(("length", "twice"), "fake:length", "sqa-data")
    fake = sys.modules["sqa_data.labellers.fake"]
    monkeypatch.setattr(fake, "length", lambda *_: lambda clip: {"length": 1.0, "twice": 2.0})
    for label in both.labels:
        monkeypatch.setitem(LABELS, label, both)
    rows = read_manifest(corpus)
    write_manifest(corpus, [replace(rows[0], metrics={"length": 9.0}), *rows[1:]])
    found = labels(annotate(corpus, ["length", "twice"]).out)
    assert found["u0"] == {"length": 9.0, "twice": 2.0}
    assert found["u1"] == {"mos": 3.0, "length": 1.0, "twice": 2.0}


def test_under_torchrun_each_process_has_its_gpu(
    corpus: Path, length: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, devices = sys.modules["sqa_data.labellers.fake"], []
    load = fake.length
    monkeypatch.setattr(fake, "length", lambda device, fast: devices.append(device) or load(device, fast))
    for rank, device in ((None, "cuda"), ("3", "cuda"), ("3", "cpu")):
        if rank is not None:
            monkeypatch.setenv("LOCAL_RANK", rank)
        annotate(corpus, ["length"], device=device, out=corpus.with_name(f"{device}{rank}.jsonl"))
    assert devices == ["cuda", "cuda:3", "cpu"]


def test_a_lost_reference_costs_only_what_needs_it(corpus: Path, length: Adapter) -> None:
    corpus.with_name("clean3.wav").unlink()
    alone = annotate(corpus, ["length"], out=corpus.with_name("alone.jsonl"))
    assert (alone.labelled, alone.errors) == ({"length": CLIPS}, [])
    both = annotate(corpus, ["length", "si_sdr"])
    assert both.labelled == {"length": CLIPS, "si_sdr": CLIPS - 1}
    assert [(row["sample_id"], row["metric"]) for row in both.errors] == [("u3", "si_sdr")]
    assert "clean3.wav: cannot read the audio: No such file" in both.errors[0]["error"]


def test_one_clip_with_two_references_is_heard_once(corpus: Path, length: Adapter) -> None:
    rows = read_manifest(corpus)
    other = {"reference_path": "clean4.wav"}
    write_manifest(corpus, [*rows, Utterance(rows[0].audio_path, "again", 1.0, {}, extra=other)])
    summary = annotate(corpus, ["length", "lsd"])
    assert summary.labelled == {"length": CLIPS + 1, "lsd": CLIPS + 1}
    assert sys.modules["sqa_data.labellers.fake"].calls.count("noisy 0.wav") == 1


@pytest.mark.slow
def test_decoded_audio_is_let_go(corpus: Path) -> None:
    """A run over a big set must not hold the audio of all of it."""

    def clips() -> int:
        gc.collect()
        return sum(type(thing) is Signals for thing in gc.get_objects())  # isinstance wakes lazy objects

    before, alive = clips(), []
    annotate(corpus, ["lsd"], progress=lambda *_: alive.append(clips()))
    assert len(alive) == CLIPS + 1
    assert max(alive) - before <= 1


def test_what_onnxruntime_raises_is_a_row(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its errors have no base but Exception, so they are easily missed; a clip of 1 ms provokes one."""
    from sqa_data.labellers import from_package

    monkeypatch.setattr(from_package, "PLCMOS_FRAMES", 0)
    sf.write(corpus.with_name("noisy 5.wav"), np.arange(16) / 16, RATE)
    summary = annotate(corpus, ["plcmos"])
    assert summary.labelled == {"plcmos": CLIPS - 1}
    assert "plcmos: InvalidArgument" in summary.errors[0]["error"]


@pytest.mark.slow  # starts five times two processes
def test_a_clip_that_kills_its_worker_is_a_row(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries in C can crash; the others go on, and the next run does not crash again."""
    (corpus.parent / "shadow").mkdir()
    (corpus.parent / "shadow" / "pystoi.py").write_text(
        "import os\n"
        "def stoi(reference, degraded, rate, extended):\n"
        "    if abs(degraded).max() == 0.5: os._exit(139)\n"
        "    return 0.25\n"
    )
    monkeypatch.syspath_prepend(corpus.parent / "shadow")  # workers inherit sys.path
    sf.write(corpus.with_name("noisy 2.wav"), np.tile([0.5, -0.5], RATE // 2), RATE)
    summary = annotate(corpus, ["stoi", "lsd"], jobs=2)
    assert summary.labelled == {"stoi": CLIPS - 1, "lsd": CLIPS}
    assert [(row["sample_id"], row["metric"]) for row in summary.errors] == [("u2", "stoi")]
    assert "stoi: the process died" in summary.errors[0]["error"]
    assert annotate(corpus, ["stoi", "lsd"], jobs=2).computed == 0


def test_a_full_disk_leaves_no_half_line_inside(corpus: Path) -> None:
    log = corpus.with_name("x.log")

    class Full:
        """A disk with room for seven bytes more."""

        def __init__(self, file: BinaryIO) -> None:
            self.file, self.name = file, file.name

        def write(self, line: bytes) -> int:
            return self.file.write(line[:7])

    def write_two() -> None:
        with appending(log) as opened:
            append(opened, ("a", "", "v"), Result({"x": 1.0}))
            append(Full(opened), ("b", "", "v"), Result({"x": 2.0}))  # type: ignore[arg-type]

    with pytest.raises(OSError, match="No space left"):
        write_two()
    assert list(read_logs(log)) == [("a", "", "v")]


def test_a_device_that_is_not_there(corpus: Path) -> None:
    with pytest.raises(DataError, match="distill_mos: cannot run on 'nonsense': Expected one of cpu, cuda"):
        annotate(corpus, ["distill_mos"], device="nonsense")


def test_two_references_for_one_clip_are_an_error(corpus: Path) -> None:
    folder = corpus.parent / "clean"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        shutil.copy(corpus.with_name("clean0.wav"), folder / name / "noisy 0.wav")
    with pytest.raises(DataError, match=r"two references for u0: .*a/noisy 0\.wav and .*b/noisy 0\.wav"):
        annotate(corpus, ["si_sdr"], reference=folder)


def test_an_error_names_its_own_clip_though_another_has_the_same_audio(corpus: Path) -> None:
    for index in (0, 1):
        sf.write(corpus.with_name(f"noisy {index}.wav"), np.zeros(RATE), RATE)
    shutil.copy(corpus.with_name("clean0.wav"), corpus.with_name("clean1.wav"))
    summary = annotate(corpus, ["si_sdr"])
    assert summary.computed < summary.clips  # one result for both
    assert {row["sample_id"]: row["error"] for row in summary.errors} == {
        f"u{k}": f"{corpus.parent / f'noisy {k}.wav'}: the clip is silent: all samples are 0" for k in (0, 1)
    }


def test_reference_by_folder_and_by_manifest(corpus: Path, tmp_path: Path) -> None:
    expected = labels(annotate(corpus, ["si_sdr"]).out)
    rows = read_manifest(corpus)
    clean = tmp_path / "clean"
    clean.mkdir()
    for index in range(CLIPS):
        shutil.copy(tmp_path / f"clean{index}.wav", clean / f"noisy {index}.wav")
    write_manifest(
        tmp_path / "refs.jsonl",
        [Utterance(str(clean / f"noisy {i}.wav"), f"u{i}", 1.0, {}) for i in range(5)],
    )
    bare = tmp_path / "bare.jsonl"
    write_manifest(bare, [Utterance(r.audio_path, r.sample_id, 1.0, {"mos": 3.0}) for r in rows])
    by_folder = annotate(bare, ["si_sdr"], reference=clean, out=tmp_path / "f.jsonl")
    assert labels(by_folder.out) == expected
    by_manifest = annotate(bare, ["si_sdr"], reference=tmp_path / "refs.jsonl", out=tmp_path / "m.jsonl")
    assert by_manifest.no_reference == 1
    (clean / "noisy 0.wav").rename(clean / "noisy 0.wave")
    (clean / "noisy 0.txt").write_text("a note beside a reference is none")
    assert labels(annotate(bare, ["si_sdr"], reference=clean, out=tmp_path / "n.jsonl").out) == expected
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no audio found"):
        annotate(bare, ["si_sdr"], reference=tmp_path / "empty", out=tmp_path / "e.jsonl")
    assert by_manifest.labelled == {"si_sdr": 5}
    with pytest.raises(DataError, match="si_sdr need the clean reference"):
        annotate(bare, ["si_sdr"], out=tmp_path / "n.jsonl")


def test_a_reference_has_the_same_name_or_else_the_same_stem(corpus: Path, tmp_path: Path) -> None:
    clean = tmp_path / "clean"
    clean.mkdir()
    for index, kinds in enumerate((("wav", "flac"), ("flac",))):
        for kind in kinds:
            sf.write(clean / f"noisy {index}.{kind}", sf.read(tmp_path / f"clean{index}.wav")[0], RATE)
    summary = annotate(corpus, ["si_sdr"], reference=clean)
    assert summary.no_reference == CLIPS - 2
    found = [row.extra["reference_path"] for row in read_manifest(summary.out)]
    assert found[:2] == [str(clean / "noisy 0.wav"), str(clean / "noisy 1.flac")]


def test_relative_paths_follow_the_output(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere" / "labelled.jsonl"
    annotate(corpus, ["lsd"], out=out, relative=True)
    line = json.loads(out.read_text().splitlines()[0])
    assert line["audio_path"] == "../noisy 0.wav"
    assert line["reference_path"] == "../clean0.wav"


def test_shards_add_up(corpus: Path) -> None:
    whole = labels(annotate(corpus, ["si_sdr"], out=corpus.with_name("whole.jsonl")).out)
    out = corpus.with_name("parts[1].jsonl")  # not a pattern
    for index in (3, 1):
        part = annotate(corpus, ["si_sdr"], out=out, share=Share(index, 3))
        assert (part.out, part.computed, part.missing) == (None, 2, 0)
    with appending(Share(2, 3).path(Path(f"{out}.log"))):  # the last one is at it
        part = annotate(corpus, ["si_sdr"], out=out, share=Share(3, 3))
    assert (part.out, part.missing) == (None, 0)
    assert not out.exists()
    last = annotate(corpus, ["si_sdr"], out=out, share=Share(2, 3))
    assert (last.out, last.computed, last.clips) == (out, 2, CLIPS)  # it gathers
    assert labels(out) == whole
    assert annotate(corpus, ["si_sdr"], out=out).computed == 0


def test_a_shard_that_was_killed_is_missed(corpus: Path) -> None:
    out = corpus.with_name("parts.jsonl")
    annotate(corpus, ["si_sdr"], out=out, share=Share(1, 2))
    log = Path(f"{out}.log.1-of-2")
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:1]))
    second = annotate(corpus, ["si_sdr"], out=out, share=Share(2, 2))
    assert (second.out, second.missing) == (None, 2)
    assert not out.exists()
    again = annotate(corpus, ["si_sdr"], out=out, share=Share(1, 2))
    assert (again.out, again.computed, again.missing) == (out, 2, 0)


def test_no_compute_writes_what_is_known(corpus: Path) -> None:
    annotate(corpus, ["si_sdr"], share=Share(1, 2))
    summary = annotate(corpus, ["si_sdr"], compute=False)
    assert (summary.computed, summary.missing) == (0, 3)
    assert summary.labelled == {"si_sdr": 3}


def test_a_torn_log_line_is_written_again(corpus: Path) -> None:
    expected = annotate(corpus, ["si_sdr"])
    log = Path(f"{expected.out}.log")
    content = log.read_bytes()
    log.write_bytes(content[: -len(content.splitlines()[-1]) // 2 - 1])
    again = annotate(corpus, ["si_sdr"])
    assert again.computed == 1
    assert sorted(log.read_bytes().splitlines()) == sorted(content.splitlines())


@pytest.mark.parametrize(
    "line",
    [
        '{"not": "ours"}',
        "[]",
        "[" * 100_000,
        '{"audio": ["a"], "reference": "", "version": "v", "values": {}}',
        '{"audio": "a", "reference": "", "version": "v", "values": {"lsd": "high"}}',
        '{"audio": "a", "reference": "", "version": "v", "values": {"lsd": NaN}}',
        '{"audio": "a", "reference": "", "version": "v", "values": 3}',
        '{"audio": "a", "reference": "", "version": "v", "error": 3}',
        '{"audio": "a", "reference": "", "version": "v", "values": {}, "warnings": [3]}',
        "{\ud800",
    ],
)
def test_a_bad_line_of_the_log_is_one_error(corpus: Path, line: str) -> None:
    good = '{"audio": "a", "reference": "", "version": "v", "values": {"lsd": 1}}'
    log = Path(f"{corpus.with_name('data.labelled.jsonl')}.log")
    log.write_text(f"{good}\n{line}\n{good}\n", errors="surrogatepass")
    with pytest.raises(DataError, match=r"log:2: not a line of a label log; move the file away"):
        annotate(corpus, ["si_sdr"])


def test_the_log_keeps_names_that_are_not_utf8(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    written = {
        ("a", "", "v"): Result({}, "caf\udce9.wav: cannot read the audio"),
        ("b", "r", "v"): Result(
            {"x": 1.5}, warnings=("quiet: -60 dB of full scale", "reference clipped: \udce9")
        ),
    }
    with appending(log) as opened:
        for key, result in written.items():
            append(opened, key, result)
    assert read_logs(log) == written


def test_of_two_results_the_later_counts_but_no_error_hides_a_value(tmp_path: Path) -> None:
    log, key = tmp_path / "x.log", ("a", "", "v")
    with appending(log) as opened:
        append(opened, key, Result({}, "no"))
        append(opened, key, Result({"x": 1.0}))
        append(opened, key, Result({"x": 2.0}))
        append(opened, key, Result({}, "no"))
    assert read_logs(log) == {key: Result({"x": 2.0})}
    with appending(Share(1, 2).path(log)) as opened:
        append(opened, key, Result({"x": 3.0}))
    assert read_logs(log) == {key: Result({"x": 3.0})}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
@pytest.mark.timeout(60)
def test_only_regular_files_are_opened(corpus: Path) -> None:
    """A pipe nobody writes to would wait for ever, and /dev/zero has no end."""
    folder = corpus.parent
    for name in ("noisy 1.wav", "clean2.wav"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
    for name in ("noisy 3.wav", "clean4.wav"):
        (folder / name).unlink()
        (folder / name).symlink_to("/dev/zero")
    (folder / "noisy 5.wav").unlink()
    (folder / "noisy 5.wav").mkdir()
    summary = annotate(corpus, ["si_sdr"])
    assert summary.labelled == {"si_sdr": 1}
    errors = {row["sample_id"]: row["error"] for row in summary.errors}
    assert set(errors) == {"u1", "u2", "u3", "u4", "u5"}
    for error in errors.values():
        assert "cannot read the audio: not a regular file" in error


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
@pytest.mark.timeout(60)
def test_a_pipe_as_log(corpus: Path) -> None:
    os.mkfifo(f"{corpus.with_name('data.labelled.jsonl')}.log")
    with pytest.raises(DataError, match=r"labelled\.jsonl\.log: not a regular file"):
        annotate(corpus, ["si_sdr"])


def test_two_writers_are_refused(corpus: Path) -> None:
    import filelock

    with (
        filelock.FileLock(f"{corpus.with_name('data.labelled.jsonl')}.log.lock"),
        pytest.raises(DataError, match="another annotate is writing here"),
    ):
        annotate(corpus, ["si_sdr"])


def test_unknown_metric_and_missing_package(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="unknown metric 'mosquito'; known: distill_mos, "):
        annotate(corpus, ["mosquito"])
    absent = Adapter(("ghost",), "ghost:ghost", "no-such-distribution", install="pip install ghost")
    monkeypatch.setitem(LABELS, "ghost", absent)
    with pytest.raises(DataError, match="'no-such-distribution' is not installed; pip install ghost"):
        annotate(corpus, ["ghost"])


def test_every_label_has_one_adapter_and_a_range() -> None:
    from sqa_data.labels import RANGES

    every = [label for adapter in ADAPTERS for label in adapter.labels]
    assert len(every) == len(set(every))
    assert all(label in RANGES for label in every)
    assert adapter_of("dnsmos_sig") is adapter_of("dnsmos_bak")
    assert adapter_of("distill_mos").version(fast=True).endswith("+fast")
    assert not adapter_of("pesq").version(fast=True).endswith("+fast")


def _many(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(1)
    rows = []
    for index in range(count):
        clean = 0.1 * rng.standard_normal(3 * RATE)
        for name, signal_ in (("c", clean), ("n", clean + 0.05 * rng.standard_normal(len(clean)))):
            sf.write(folder / f"{name}{index}.wav", signal_, RATE)
        rows.append(
            Utterance(
                str(folder / f"n{index}.wav"), f"u{index}", 3.0, {}, extra={"reference_path": f"c{index}.wav"}
            )
        )
    write_manifest(folder / "data.jsonl", rows)
    return folder / "data.jsonl"


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_at_any_moment_it_goes_on(tmp_path: Path, how: signal.Signals) -> None:
    """Killed with -9 or by Ctrl-C twice on the way: the end is the same as without, no worker is left
    behind.
    """
    manifest = _many(tmp_path, 40)
    out = tmp_path / "killed.jsonl"
    code = (
        "import signal, sys\nfrom sqa_data.annotate.run import annotate\nif __name__ == '__main__':\n"
        # whatever this process has inherited: a shell's background jobs ignore Ctrl-C
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})\n"
        "    annotate(sys.argv[1], ['stoi', 'estoi', 'lsd'], out=sys.argv[2], jobs=2)\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    log = Path(f"{out}.log")
    for wanted in (10, 60):
        process = subprocess.Popen(
            [sys.executable, str(script), str(manifest), str(out)],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while process.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= wanted):
            time.sleep(0.01)
        os.kill(process.pid, how)
        process.wait(timeout=60)
        deadline = time.monotonic() + 20
        while _group_alive(process.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not _group_alive(process.pid), "workers outlived their parent"
        assert not out.exists()
    done = log.read_bytes().count(b"\n")
    assert 60 <= done < 120
    resumed = annotate(manifest, ["stoi", "estoi", "lsd"], out=out)
    assert 0 < resumed.computed <= 120 - done + 1
    whole = annotate(manifest, ["stoi", "estoi", "lsd"], out=tmp_path / "whole.jsonl")
    for sample_id, values in labels(whole.out).items():
        assert labels(resumed.out)[sample_id] == pytest.approx(values, rel=1e-9), sample_id


def _group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
