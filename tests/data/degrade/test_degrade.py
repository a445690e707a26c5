"""Degradations: exact where they have a definition, seeded, held apart between splits, resumable."""

import hashlib
import os
import pickle
import re
import resource
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from degrading import RATE, noise, speech_like
from sqa_data import DataError, Utterance, read_manifest
from sqa_data.degrade import signal
from sqa_data.degrade.kind import Family, Step, Surroundings
from sqa_data.degrade.kinds import KINDS
from sqa_data.degrade.plan import (
    CleanSpeech,
    DegradeConfig,
    PlannedClip,
    make_plan,
    read_noises,
    read_speech,
)
from sqa_data.degrade.recordings import tell_once
from sqa_data.degrade.render import clean_excerpt, render


@pytest.fixture(scope="module")
def noises(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("noises")
    rng = np.random.default_rng(7)
    paths = []
    for index in range(6):
        path = folder / f"label{index}" / f"n{index}.wav"
        path.parent.mkdir()
        sf.write(path, 0.01 * rng.standard_normal(24000), RATE)
        paths.append(path)
    return tuple(paths)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech")
    for talker in range(12):
        for take in range(2):
            path = folder / f"talker{talker}" / f"t{talker}-{take}.wav"
            path.parent.mkdir(exist_ok=True)
            sf.write(path, speech_like(1.0 + 0.5 * take, seed=talker), RATE)
    return folder


# those that run on every machine: what a seed means depends on the kinds at hand
PLAIN = (
    *(
        "reverb",
        "noise",
        "coloured-noise",
        "hum",
        "clipping",
        "quantise",
        "gain-jumps",
        "subtraction",
        "wiener",
    ),
    *(
        "gate",
        "robot",
        "lowpass",
        "highpass",
        "low-rate",
        "telephone",
        "mnru",
        "opus",
        "mp3",
        "vorbis",
        "gsm",
    ),
    *("mu-law", "loss-zero", "loss-repeat", "loss-pitch", "level"),
)
SMALL = DegradeConfig(train=40, dev=6, test=30, max_seconds=1.0, kinds=PLAIN)
SMALL_HUM = replace(SMALL, kinds=("hum",))


@pytest.fixture(scope="module")
def plan(speech: Path, noises: tuple[Path, ...]) -> list[PlannedClip]:
    return make_plan(read_speech(speech), read_noises(noises[0].parent.parent), SMALL)


def test_splits_share_no_talker_and_no_test_noise(plan: list[PlannedClip]) -> None:
    talkers = {s: {c.source.talker for c in plan if c.split == s} for s in ("train", "dev", "test")}
    assert all(talkers.values())
    assert not talkers["train"] & talkers["dev"]
    assert not talkers["train"] & talkers["test"]
    assert not talkers["dev"] & talkers["test"]
    noise = {s: {n for c in plan if c.split == s for n in c.around.noises} for s in ("train", "dev", "test")}
    assert noise["test"]
    assert not noise["test"] & (noise["train"] | noise["dev"])


def test_a_split_without_clips_needs_no_talkers(speech: Path) -> None:
    config = replace(SMALL, kinds=("lowpass",), held_out_kinds=())
    pair = [source for source in read_speech(speech) if source.talker in ("talker0", "talker1")]
    alone = [source for source in pair if source.talker == "talker0"]

    def talkers(sources: list[CleanSpeech], **counts: int) -> dict[str, set[str]]:
        of = defaultdict[str, set[str]](set)
        for clip in make_plan(sources, {}, replace(config, **counts)):  # type: ignore[arg-type]
            of[clip.split].add(clip.source.talker)
        return of

    assert talkers(pair, dev=0, test=0) == {"train": {"talker0", "talker1"}}
    assert set.union(*talkers(pair, dev=0).values()) == {"talker0", "talker1"}
    assert talkers(alone, train=0, dev=0) == {"test": {"talker0"}}
    with pytest.raises(DataError, match="expected at least 3, one for each split"):
        talkers(pair)
    with pytest.raises(DataError, match="expected at least 2, one for each split"):
        talkers(alone, dev=0)


def test_held_out_kinds_are_in_test_alone(plan: list[PlannedClip]) -> None:
    held = set(SMALL.held_out_kinds)
    for clip in plan:
        if clip.split != "test":
            assert not held & {step.kind for step in clip.chain}
    share = np.mean([bool(held & {s.kind for s in c.chain}) for c in plan if c.split == "test"])
    assert 0.4 < share < 0.9


def test_suppressors_have_noise_to_suppress(plan: list[PlannedClip]) -> None:
    for clip in plan:
        families = [KINDS[step.kind].family for step in clip.chain]
        if Family.ENHANCER in families:
            assert Family.NOISE in families
        assert families == sorted(families)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_chain_has_at_most_its_steps(speech: Path, noises: tuple[Path, ...], most: int) -> None:
    config = replace(SMALL, train=200, test=100, max_steps=most)
    plan = make_plan(read_speech(speech), read_noises(noises[0].parent.parent), config)
    assert max(len(clip.chain) for clip in plan) == most


def test_a_babble_is_of_other_talkers_of_the_split(plan: list[PlannedClip]) -> None:
    for clip in plan:
        if "babble" in {step.kind for step in clip.chain}:
            assert clip.around.talkers
        assert clip.source.talker not in {path.parent.name for path in clip.around.talkers}
    of_split = {
        s: {t for c in plan if c.split == s for t in c.around.talkers} for s in ("train", "dev", "test")
    }
    assert not of_split["train"] & (of_split["dev"] | of_split["test"])


def test_systems_are_families(plan: list[PlannedClip]) -> None:
    known = {str(family) for family in Family}
    for clip in plan:
        assert clip.system_id == "clean" or set(clip.system_id.split("+")) <= known
    assert len({clip.system_id for clip in plan}) < 0.8 * len(plan)


@pytest.mark.slow
def test_plan_is_the_same_in_every_process(
    speech: Path, noises: tuple[Path, ...], plan: list[PlannedClip]
) -> None:
    code = (
        "import sys; from sqa_data.degrade.plan import *\n"
        f"c = DegradeConfig(train=40, dev=6, test=30, max_seconds=1.0, kinds={PLAIN})\n"
        "p = make_plan(read_speech(sys.argv[1]), read_noises(sys.argv[2]), c)\n"
        "print([(x.source.path.name, x.start, x.chain) for x in p])"
    )
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", code, str(speech), str(noises[0].parent.parent)]
        output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        assert output.strip() == str([(x.source.path.name, x.start, x.chain) for x in plan])


def test_a_seed_means_the_same_plan_in_every_version(plan: list[PlannedClip]) -> None:
    drawn = str([(x.sample_id, x.source.path.name, x.start, x.seconds, x.chain) for x in plan])
    assert hashlib.sha256(drawn.encode()).hexdigest()[:16] == "083f051980be3b9c"


def test_without_noises_none_are_planned(speech: Path) -> None:
    plan = make_plan(read_speech(speech), {}, replace(SMALL, kinds=()))
    assert not [clip for clip in plan if "noise" in [step.kind for step in clip.chain]]


@pytest.mark.parametrize("count", [1, 2, 20])
def test_noises_of_one_label_are_kept_apart_by_recording(speech: Path, tmp_path: Path, count: int) -> None:
    for number in range(count):
        sf.write(tmp_path / f"{number}.wav", noise(0.2, number), RATE)
    plan = make_plan(read_speech(speech), read_noises(tmp_path), replace(SMALL, kinds=("hum",)))
    of = {clip.split: set(clip.around.noises) for clip in plan}
    assert of["train"] == of["dev"]
    assert of["train"] | of["test"] == set(tmp_path.iterdir())
    assert not of["train"] & of["test"]
    assert len(of["test"]) == {1: 0, 2: 1, 20: 2}[count]
    if count == 1:
        with pytest.raises(DataError, match=r"'noise' cannot run here: .*in the test split"):
            make_plan(read_speech(speech), read_noises(tmp_path), replace(SMALL, kinds=("noise",)))


def test_a_wanted_kind_that_cannot_run_is_an_error_and_another_is_left_out_with_a_line(
    speech: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = read_speech(speech)
    with pytest.raises(DataError, match="'noise' cannot run here: needs noise recordings; give --noise"):
        make_plan(sources, {}, replace(SMALL, kinds=("noise", "hum")))
    plan = make_plan(sources, {}, replace(SMALL, kinds=("hum", "mp3"), held_out_kinds=("mp3",)))
    assert {step.kind for clip in plan if clip.split == "train" for step in clip.chain} == {"hum"}
    assert {step.kind for clip in plan if clip.split == "test" for step in clip.chain} == {"hum", "mp3"}
    tell_once.cache_clear()
    make_plan(sources, {}, replace(SMALL, seed=77, kinds=()))
    assert re.search(r"left out, [0-9]+ of [0-9]+ kinds:\n", caplog.text)
    assert "  noise, room-noise: needs noise recordings; give --noise FOLDER\n" in caplog.text
    with pytest.raises(DataError, match="unknown preset 'loud'; known: broad, urgent"):
        make_plan(sources, {}, replace(SMALL, preset="loud"))
    with pytest.raises(
        DataError, match="preset urgent draws none of hum, gsm; expected one of clipping, coloured"
    ):
        make_plan(sources, {}, replace(SMALL, preset="urgent", kinds=("hum", "gsm")))


def test_a_full_disk_is_said_as_the_system_says_it(plan: list[PlannedClip], tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            render(plan[:2], tmp_path / "out", seed=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(render(plan[:2], tmp_path / "out", seed=1)) == 1


def test_sources_too_short_to_hear_are_left_out_with_a_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for talker in range(4):
        for take, seconds in enumerate((1.0, 0.05)):
            path = tmp_path / f"talker{talker}" / f"{take}.wav"
            path.parent.mkdir(exist_ok=True)
            sf.write(path, speech_like(seconds, seed=talker), RATE)
    plan = make_plan(read_speech(tmp_path), {}, SMALL_HUM)
    assert {clip.source.path.name for clip in plan} == {"0.wav"}
    assert "sources shorter than 0.2 s are left out: 4 of 8" in caplog.text
    with pytest.raises(DataError, match="sample_rate is 100; expected 8000 to 48000 Hz, or None"):
        make_plan(read_speech(tmp_path), {}, replace(SMALL_HUM, sample_rate=100))


def test_clips_may_keep_the_rate_of_their_source(tmp_path: Path, speech: Path) -> None:
    for talker, rate in enumerate((6000, 22_050, 48_000, 96_000) * 3):
        path = tmp_path / f"talker{talker}" / "x.wav"
        path.parent.mkdir()
        sf.write(path, speech_like(1.0, seed=talker, rate=rate), rate)
    plan = make_plan(read_speech(tmp_path), {}, replace(SMALL, kinds=("hum", "lowpass"), sample_rate=None))
    heard = {(sf.info(clip.source.path).samplerate, clip.sample_rate) for clip in plan}
    assert heard == {(6000, 8000), (22_050, 22_050), (48_000, 48_000), (96_000, 48_000)}
    manifest = render(plan[:8], tmp_path / "out", seed=1)["train"]
    for clip, row in zip(plan, read_manifest(manifest), strict=False):
        assert row.sample_rate == clip.sample_rate == sf.info(row.audio_path).samplerate
        assert row.duration == pytest.approx(clip.seconds, abs=0.01)


def test_tables_of_speech_and_noise(tmp_path: Path) -> None:
    """The table may lie above the folder; rows of other folders are left out; noise is what has no speaker."""
    (tmp_path / "manifest.csv").write_text(
        "path,speaker,snr_proxy_db,label,language\n"
        "speech/a.wav,anna,29.9,,de\nspeech/b.wav,ben,,,fi\nother/c.wav,carl,50,,de\nspeech/d.wav,dora,30,,\n"
        "noise/rain.wav,,,weather,\nnoise/talk.wav,,,,fi\nnoise/hall/x.wav,,,,\n"
    )
    for folder in ("speech", "noise/hall", "other"):
        (tmp_path / folder).mkdir(parents=True)
    found = [(x.path.name, x.talker, x.is_reference) for x in read_speech(tmp_path / "speech")]
    assert found == [("a.wav", "anna", False), ("b.wav", "ben", True), ("d.wav", "dora", True)]
    labels = {path.name: label for path, label in read_noises(tmp_path / "noise").items()}
    assert labels == {"rain.wav": "weather", "talk.wav": "fi", "x.wav": "hall"}
    (tmp_path / "other" / "c.wav").touch()
    (tmp_path / "other" / "manifest.csv").write_text("path,speaker\nother/c.wav,carl\n")
    (tmp_path / "other" / "d.wav").touch()
    (tmp_path / "other" / "manifest.csv").write_text("path,speaker\n\nd.wav,dora\nother/c.wav,carl\n")
    assert [x.path.name for x in read_speech(tmp_path / "other")] == ["d.wav", "c.wav"]
    (tmp_path / "other" / "manifest.csv").write_text("path,speaker,snr_proxy_db\nc.wav,carl,loud\n")
    with pytest.raises(DataError, match=r"manifest\.csv:2: snr_proxy_db is 'loud'; expected a number"):
        read_speech(tmp_path / "other")
    for name in (".hidden.wav", "note.txt", "seen.FLAC"):
        (tmp_path / "noise" / "hall" / name).touch()
    assert [path.name for path in read_noises(tmp_path / "noise" / "hall")] == ["seen.FLAC"]


def test_a_language_may_be_held_out_whole(speech: Path, tmp_path: Path) -> None:
    talkers = sorted({source.talker for source in read_speech(speech)})
    language = {name: ("de", "pt-BR", "ptx", "fi")[i % 4] for i, name in enumerate(talkers)}
    sources = [replace(source, language=language[source.talker]) for source in read_speech(speech)]
    plan = make_plan(sources, {}, replace(SMALL_HUM, train=60, test=60, test_languages=("PT",)))
    spoken = {s: {c.source.language for c in plan if c.split == s} for s in ("train", "dev", "test")}
    assert "pt-BR" in spoken["test"]
    assert "pt-BR" not in spoken["train"] | spoken["dev"]
    assert spoken["train"]
    with pytest.raises(DataError, match="no speech in 'xx'; found de, fi, pt, pt-br, ptx"):
        make_plan(sources, {}, replace(SMALL_HUM, test_languages=("xx", "de")))


def test_a_region_may_be_written_either_way_and_a_corpus_may_be_all_foreign(
    speech: Path, tmp_path: Path
) -> None:
    sources = [replace(source, language="pt_BR") for source in read_speech(speech)]
    plan = make_plan(sources, {}, replace(SMALL_HUM, train=1, dev=0, test=0))
    (row,) = read_manifest(render(plan, tmp_path / "out", seed=1)["train"])
    assert row.language == "pt_BR"
    for tag in ("pt-br", "PT_BR", "pt"):
        config = replace(SMALL_HUM, train=0, dev=0, test=4, test_languages=(tag,))
        assert {clip.split for clip in make_plan(sources, {}, config)} == {"test"}
    with pytest.raises(DataError, match="found 0 talker"):
        make_plan(sources, {}, replace(SMALL_HUM, test_languages=("pt",)))


def test_kinds_that_are_all_held_out_leave_nothing_to_train_on(speech: Path) -> None:
    config = replace(SMALL, kinds=("gate", "gsm"))
    with pytest.raises(DataError, match=r"all of gate, gsm are for the test split alone.*--held-out none"):
        make_plan(read_speech(speech), {}, config)
    assert make_plan(read_speech(speech), {}, replace(config, held_out_kinds=()))


def test_an_excerpt_of_a_pause_is_taken_elsewhere_and_silence_refused(tmp_path: Path) -> None:
    pause = np.zeros(3 * RATE)
    sf.write(tmp_path / "pause.wav", np.concatenate([pause, speech_like(1.0)]), RATE)
    excerpt = clean_excerpt(str(tmp_path / "pause.wav"), 0.0, 1.0, RATE)
    assert 10 * np.log10(signal.active_power(excerpt, RATE)) == pytest.approx(-26, abs=0.5)
    sf.write(tmp_path / "dc.wav", pause + 0.3, RATE)
    with pytest.raises(DataError, match=r"dc\.wav: is silent; expected speech"):
        clean_excerpt(str(tmp_path / "dc.wav"), 1.0, 1.0, RATE)
    with pytest.raises(DataError, match=r"pause\.wav: "):
        clean_excerpt(str(tmp_path / "pause.wav"), 3.95, 1.0, RATE)


def test_the_clips_of_a_ladder_differ_in_one_severity(
    speech: Path, noises: tuple[Path, ...], tmp_path: Path
) -> None:
    config = replace(SMALL, train=12, dev=0, test=0, rungs=3, kinds=("coloured-noise", "lowpass", "noise"))
    plan = make_plan(read_speech(speech), read_noises(noises[0].parent.parent), config)
    ladders = {clip.ladder: [c for c in plan if c.ladder == clip.ladder] for clip in plan if clip.ladder}
    assert len(ladders) >= 10
    for name, clips in ladders.items():
        assert [clip.sample_id for clip in clips] == [f"{name}-{rung}" for rung in range(3)]
        rungs = [tuple(steps) for steps in zip(*(c.chain for c in clips), strict=True) if len(set(steps)) > 1]
        assert [[step.severity for step in steps] for steps in rungs] == [[0, 0.5, 1]]
    clips = next(
        clips for clips in ladders.values() if [s.kind for s in clips[0].chain] == ["coloured-noise"]
    )
    rows = list(read_manifest(render(clips, tmp_path / "out", seed=3)["train"]))
    assert {row.extra["ladder"] for row in rows} == {clips[0].ladder}
    loud, louder, loudest = (sf.read(row.audio_path)[0] - sf.read(clean_of(row))[0] for row in rows)
    for one, other in ((loud, louder), (louder, loudest)):  # the same noise, only louder
        assert np.corrcoef(one, other)[0, 1] > 0.9
        assert np.std(other) > np.std(one)


def test_short_speech_is_followed_by_more_of_its_talker(speech: Path, tmp_path: Path) -> None:
    sources = read_speech(speech)
    config = replace(SMALL_HUM, train=40, dev=0, test=0, max_seconds=2.5, min_seconds=2.2)
    plan = make_plan(sources, {}, config)
    talker_of = {source.path: source.talker for source in sources}
    seconds = {path: sf.info(path).duration for path in talker_of}
    for clip in plan:
        assert {talker_of[piece.path] for piece in clip.more} <= {clip.source.talker}
        assert clip.source.path not in {piece.path for piece in clip.more}
        assert clip.duration_s <= 2.5 + 1e-6
        others = [
            s for p, s in seconds.items() if talker_of[p] == clip.source.talker and p != clip.source.path
        ]
        assert clip.duration_s >= min(2.2, clip.seconds + sum(others)) - 0.01
    joined = next(clip for clip in plan if clip.more)
    (row,) = read_manifest(render([joined], tmp_path / "out", seed=3)["train"])
    assert row.duration == pytest.approx(joined.duration_s, abs=0.01)
    clean = sf.read(clean_of(row))[0]
    first = clean_excerpt(str(joined.source.path), joined.start, joined.seconds, RATE)
    assert np.abs(clean[: len(first)] - first).max() < 1e-4
    with pytest.raises(DataError, match="min_seconds is 3; expected at most max_seconds, 1"):
        make_plan(sources, {}, replace(SMALL_HUM, min_seconds=3.0))
    with pytest.raises(DataError, match="train, dev and test are all 0"):
        make_plan(sources, {}, replace(SMALL_HUM, train=0, dev=0, test=0))


def clean_of(row: Utterance) -> Path:
    return Path(row.audio_path).parents[1] / row.extra["reference_path"]


def test_an_excerpt_is_at_its_level_and_faded(tmp_path: Path) -> None:
    sf.write(tmp_path / "x.wav", 0.3 + 0.2 * speech_like(), 48000, subtype="FLOAT")  # 0.67 s at 48 kHz
    excerpt = clean_excerpt(str(tmp_path / "x.wav"), 0.1, 0.5, RATE)
    assert len(excerpt) == RATE // 2
    assert 10 * np.log10(signal.active_power(excerpt, RATE)) == pytest.approx(-26, abs=0.1)
    assert (excerpt[0], excerpt[-1]) == (0, 0)
    assert abs(excerpt.mean()) < 1e-3


def test_render_resumes_to_the_same_bytes(tmp_path: Path, plan: list[PlannedClip]) -> None:
    clips = plan[:6] + plan[-6:]
    whole = render(clips, tmp_path / "a", seed=5, jobs=2)
    render(clips[:5], tmp_path / "b0", seed=5)  # an interrupted run leaves some clips and a torn one
    (tmp_path / "b").mkdir()
    for folder in ("audio", "reference"):
        (tmp_path / "b0" / folder).rename(tmp_path / "b" / folder)
    (tmp_path / "b" / "audio" / f".{clips[5].sample_id}.flac.1-0.tmp").write_bytes(b"torn")
    (tmp_path / "b" / "audio" / f"{clips[2].sample_id}.flac").unlink()
    counted = []
    render(clips, tmp_path / "b", seed=5, on_clip=lambda: counted.append(1))
    assert len(counted) == len(clips)
    for clip in clips:
        for folder in ("audio", "reference"):
            name = f"{folder}/{clip.sample_id}.flac"
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    for split, path in whole.items():
        assert path.read_bytes() == (tmp_path / "b" / f"{split}.jsonl").read_bytes()


def test_render_rows_and_reference(tmp_path: Path, plan: list[PlannedClip]) -> None:
    manifests = render(plan[:4], tmp_path, seed=5)
    for clip, row in zip(plan[:4], read_manifest(manifests["train"]), strict=True):
        assert Path(row.audio_path).is_file()
        assert row.system_id == clip.system_id
        assert row.sample_rate == RATE
        assert [s["kind"] for s in row.extra["degradation"]] == [s.kind for s in clip.chain]
        assert sf.info(tmp_path / row.extra["reference_path"]).duration == row.duration


def test_audio_follows_from_place_seed_and_name(tmp_path: Path, speech: Path) -> None:
    source = CleanSpeech(speech / "talker0" / "t0-0.wav", "talker0", is_reference=False)
    first = PlannedClip("train-0", "train", source, 0.0, 0.5, (Step("coloured-noise", 1.0),))
    clips = [first, replace(first, sample_id="train-1"), replace(first, sample_id="train-2", start=0.3)]
    (manifest,) = render(clips, tmp_path / "a", seed=5).values()
    render(clips, tmp_path / "b", seed=6)
    audio, reference = (
        [(tmp_path / where / kind / f"train-{i}.flac").read_bytes() for where in "ab" for i in range(3)]
        for kind in ("audio", "reference")
    )
    assert len(set(audio)) == 6
    assert reference[0] == reference[1] == reference[3] != reference[2]
    assert all("reference_path" not in row.extra for row in read_manifest(manifest))
    (tmp_path / "a" / "reference" / "train-0.flac").unlink()
    render(clips, tmp_path / "a", seed=5)
    assert (tmp_path / "a" / "reference" / "train-0.flac").read_bytes() == reference[0]
    with pytest.raises(DataError, match="made from another plan"):
        render(
            [replace(clip, around=Surroundings((Path("x.wav"),))) for clip in clips], tmp_path / "a", seed=5
        )


def test_an_excerpt_is_faded_by_5_ms_and_no_more(tmp_path: Path) -> None:
    tone = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    sf.write(tmp_path / "x.wav", tone, RATE, subtype="FLOAT")
    excerpt, heard = clean_excerpt(str(tmp_path / "x.wav"), 0.25, 0.5, RATE), tone[4000:12000]
    gain = excerpt[80:-80] @ heard[80:-80] / (heard[80:-80] @ heard[80:-80])
    np.testing.assert_allclose(excerpt[80:-80], gain * heard[80:-80], atol=1e-5)
    assert np.abs(excerpt[:40]).max() < 0.6 * gain * 0.1


def test_render_refuses_a_folder_of_another_plan(tmp_path: Path, plan: list[PlannedClip]) -> None:
    render(plan[:2], tmp_path, seed=5)
    with pytest.raises(DataError, match="made from another plan"):
        render(plan[:3], tmp_path, seed=5)
    with pytest.raises(DataError, match="made from another plan"):
        render(plan[:2], tmp_path, seed=6)


@pytest.mark.slow
def test_two_at_once_do_not_mix_their_clips(tmp_path: Path, plan: list[PlannedClip]) -> None:
    out, code = tmp_path / "out", "import sys, pickle; from sqa_data.degrade.render import render; "
    code += "render(pickle.loads(bytes.fromhex(sys.argv[1])), sys.argv[2], seed=6)"
    said: list[str] = []

    def meanwhile() -> None:
        command = [sys.executable, "-c", code, pickle.dumps(plan[:2]).hex(), str(out)]
        said.append(subprocess.run(command, capture_output=True, text=True).stderr.splitlines()[-1])

    manifests = render(plan[:1], out, seed=5, on_clip=meanwhile)
    assert said[0].endswith(
        ".degrade: another degrade is writing here; wait for it, or choose another folder"
    )
    render(plan[:1], tmp_path / "alone", seed=5)
    assert manifests["train"].read_bytes() == (tmp_path / "alone" / "train.jsonl").read_bytes()
    audio = [path.relative_to(out) for path in out.rglob("*.flac")]
    assert len(audio) == 2
    assert all((out / name).read_bytes() == (tmp_path / "alone" / name).read_bytes() for name in audio)


def test_sources_that_cannot_work(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no audio found"):
        read_speech(tmp_path)
    (tmp_path / "manifest.csv").write_text("path,speaker\nelsewhere/../../a.wav,anna\n")
    with pytest.raises(DataError, match="has no speech in this folder; expected rows with a speaker"):
        read_speech(tmp_path)
    with pytest.raises(DataError, match="has no noise in this folder; expected rows without a speaker"):
        read_noises(tmp_path)
    sf.write(tmp_path / "a.wav", speech_like(0.5), RATE)
    with pytest.raises(DataError, match="at least 3"):
        make_plan([CleanSpeech(tmp_path / "a.wav", "only")], {}, SMALL)
    with pytest.raises(DataError, match=r"unknown degradation 'nope'; known: reverb"):
        make_plan([], {}, DegradeConfig(held_out_kinds=("gsm", "nope")))
    (tmp_path / "manifest.csv").write_text("file,who\n")
    with pytest.raises(DataError, match=r"manifest\.csv:1: no column 'path'; found file, who"):
        read_speech(tmp_path)
    (tmp_path / "manifest.csv").unlink()
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.wav").write_text("not audio")
    with pytest.raises(DataError, match=r"x\.wav: not readable as audio"):
        make_plan(read_speech(tmp_path), {}, SMALL)


def test_shared_speech_table(shared: Path) -> None:
    sources = read_speech(shared / "speech" / "speech")
    assert len(sources) == 779
    assert len({s.talker for s in sources}) == 302
    assert 0 < sum(not s.is_reference for s in sources) < 200
    assert len(read_noises(shared / "speech" / "noise")) == 125


def test_rows_keep_the_kind_of_the_source_and_the_reference_follows_the_edges(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,speaker,kind\na.wav,anna,synthetic\nb.wav,ben,\n")
    for name in ("a", "b"):
        sf.write(tmp_path / f"{name}.wav", speech_like(1.0), RATE)
    anna, ben = read_speech(tmp_path)
    assert (anna.kind, ben.kind) == ("synthetic", "")
    chain = (Step("pad-silence", 0.3), Step("crop", 0.1))
    clips = [PlannedClip(s.talker, "train", s, 0.0, 1.0, chain) for s in (anna, ben)]
    (manifest,) = render(clips, tmp_path / "out", seed=1).values()
    rows = list(read_manifest(manifest))
    assert [row.extra.get("source_kind") for row in rows] == ["synthetic", None]
    for row in rows:
        reference, _ = sf.read(tmp_path / "out" / row.extra["reference_path"])
        made, _ = sf.read(row.audio_path)
        assert row.duration == len(reference) / RATE != 1.0
        np.testing.assert_array_equal(made, reference)
