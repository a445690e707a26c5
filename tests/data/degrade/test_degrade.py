"""Degradations: exact where they have a definition, seeded, held apart between splits, resumable."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile as sf
from sqa_data import DataError, read_manifest
from sqa_data.degrade import signal
from sqa_data.degrade.kinds import KINDS, SUPPRESSORS, Step, degrade
from sqa_data.degrade.plan import CleanSpeech, DegradeConfig, PlannedClip, make_plan, read_noises, read_speech
from sqa_data.degrade.render import clean_excerpt, render
from sqa_data.degrade.signal import RATE


def speech_like(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """A harmonic voice with a gliding pitch, in syllables with pauses."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time + seed)) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 40))
    envelope = np.clip(np.sin(2 * np.pi * 2.5 * time + rng.random()), 0, None) ** 0.5
    return 0.05 * voice * envelope + 1e-4 * rng.standard_normal(len(time))


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("severity", [0.0, 0.5, 1.0])
def test_every_kind_keeps_the_length_and_repeats(
    kind: str, severity: float, noises: tuple[Path, ...]
) -> None:
    clean = speech_like()
    first, steps = degrade(clean, [Step(kind, severity)], seed=3, noises=noises)
    again, _ = degrade(clean, [Step(kind, severity)], seed=3, noises=noises)
    assert first.shape == clean.shape
    assert np.isfinite(first).all()
    assert np.abs(first).max() <= 0.99 + 1e-9
    np.testing.assert_array_equal(first, again)
    assert steps[0]["kind"] == kind
    assert json.dumps(steps)  # plain numbers and strings


@pytest.mark.parametrize("kind", ["noise", "reverb", "clipping", "opus", "mp3", "quantise", "mnru", "robot"])
def test_severity_moves_away_from_clean(kind: str, noises: tuple[Path, ...]) -> None:
    clean = speech_like()
    distances = []
    for severity in (0.0, 0.5, 1.0):
        degraded, _ = degrade(clean, [Step(kind, severity)], seed=3, noises=noises)
        a, b = (np.log(np.abs(scipy.signal.stft(x, nperseg=512)[2]) + 1e-4) for x in (clean, degraded))
        distances.append(float(np.sqrt(np.mean((a - b) ** 2))))
    assert distances == sorted(distances)
    assert distances[-1] > distances[0]


def test_noise_has_the_asked_ratio() -> None:
    clean, noise = speech_like(), np.random.default_rng(1).standard_normal(2 * RATE)
    for snr in (-5.0, 10.0, 30.0):
        added = signal.add_noise(clean, noise, snr) - clean
        assert 10 * np.log10(signal.active_power(clean) / np.mean(added**2)) == pytest.approx(snr, abs=1e-6)


def test_active_power_leaves_pauses_out() -> None:
    tone = 0.1 * np.sin(np.arange(RATE) * 0.3)
    assert signal.active_power(np.concatenate([tone, np.zeros(RATE)])) == pytest.approx(
        signal.active_power(tone), rel=0.02
    )


def test_clipping_cuts_the_fraction() -> None:
    clean = np.random.default_rng(0).standard_normal(RATE)
    cut = signal.clip_peaks(clean, 0.1)
    assert np.mean(np.isclose(np.abs(cut), np.abs(cut).max())) == pytest.approx(0.1, abs=1e-3)
    assert np.mean(cut**2) == pytest.approx(np.mean(clean**2))


def test_lowpass_removes_what_is_above() -> None:
    degraded, steps = degrade(
        0.1 * np.random.default_rng(0).standard_normal(4 * RATE), [Step("lowpass", 0.5)]
    )
    frequencies, power = scipy.signal.welch(degraded, RATE, nperseg=1024)
    above = power[frequencies > 1.3 * steps[0]["cutoff_hz"]].mean()
    assert above < 1e-3 * power[frequencies < 0.7 * steps[0]["cutoff_hz"]].mean()


def test_packets_are_lost_at_the_rate() -> None:
    speech = np.ones(RATE * 60)
    lossy = signal.drop_packets(speech, 0.2, 2.0, "zero", np.random.default_rng(0))
    assert np.mean(lossy == 0) == pytest.approx(0.2, abs=0.02)
    runs = np.diff(np.flatnonzero(np.diff((lossy == 0).astype(int)))) / (RATE // 50)
    assert runs.min() >= 1  # whole packets


def test_pitch_concealment_continues_a_periodic_voice() -> None:
    time = np.arange(RATE) / RATE
    voice = sum(np.sin(2 * np.pi * 125 * k * time) / k for k in range(1, 6))
    errors = {}
    for concealment in ("zero", "repeat", "pitch"):
        lossy = signal.drop_packets(voice, 0.1, 1.0, concealment, np.random.default_rng(2))
        errors[concealment] = float(np.mean((lossy - voice) ** 2))
    assert errors["pitch"] < 0.2 * errors["zero"]


@pytest.mark.parametrize("method", ["subtraction", "wiener", "logmmse", "gate"])
def test_suppressors_suppress(method: str) -> None:
    clean = speech_like(4.0)
    noise = 0.01 * np.random.default_rng(1).standard_normal(len(clean))
    output = signal.suppress(clean + noise, method, 2.0)
    pauses = signal.frames(clean, 320, 320).std(axis=1) < 3e-4
    left = signal.frames(output, 320, 320)[pauses].std()
    assert left < 0.6 * noise.std()
    assert np.corrcoef(output, clean)[0, 1] > 0.95


def test_stft_inverts() -> None:
    x = np.random.default_rng(0).standard_normal(5000)
    for hop in (128, 256):
        np.testing.assert_allclose(signal.istft(signal.stft(x, 512, hop), 512, hop, len(x)), x, atol=1e-12)


@pytest.mark.parametrize("delay", [-300, 0, 1105])
def test_codec_delay_is_undone(delay: int) -> None:
    speech = speech_like()
    moved = np.roll(np.pad(speech, 2000), delay)[2000:]
    np.testing.assert_allclose(signal.align(moved, speech)[400:-2000], speech[400:-2000], atol=1e-12)


def test_opus_rate_falls_with_severity() -> None:
    rates = [degrade(speech_like(), [Step("opus", s)])[1][0]["kbps"] for s in (0.0, 0.5, 1.0)]
    assert rates[0] > 40 > rates[1] > rates[2]
    assert rates[2] < 12


@pytest.mark.parametrize(
    ("samples", "chain", "message"),
    [
        (np.zeros((2, 16000)), [], "mono"),
        (np.full(16000, np.nan), [], "finite"),
        (np.zeros(10), [], "at least 0.1 s"),
        (np.zeros(16000), [Step("no-such", 0.5)], "unknown degradation 'no-such'; known: reverb"),
        (np.ones(16000), [Step("noise", 0.5)], "give --noise"),
    ],
)
def test_bad_input_is_named(samples: np.ndarray, chain: list[Step], message: str) -> None:
    with pytest.raises(DataError, match=message):
        degrade(samples, chain)


# ---- the corpus
# ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech")
    for talker in range(12):
        for take in range(2):
            path = folder / f"talker{talker}" / f"t{talker}-{take}.wav"
            path.parent.mkdir(exist_ok=True)
            sf.write(path, speech_like(1.0 + 0.5 * take, seed=talker), RATE)
    return folder


SMALL = DegradeConfig(train=40, dev=6, test=30, max_seconds=1.0)


@pytest.fixture(scope="module")
def plan(speech: Path, noises: tuple[Path, ...]) -> list[PlannedClip]:
    return make_plan(read_speech(speech), read_noises(noises[0].parent.parent), SMALL)


def test_splits_share_no_talker_and_no_test_noise(plan: list[PlannedClip]) -> None:
    talkers = {s: {c.source.talker for c in plan if c.split == s} for s in ("train", "dev", "test")}
    assert all(talkers.values())
    assert not talkers["train"] & talkers["dev"]
    assert not talkers["train"] & talkers["test"]
    assert not talkers["dev"] & talkers["test"]
    noise = {s: {n for c in plan if c.split == s for n in c.noises} for s in ("train", "dev", "test")}
    assert noise["test"]
    assert not noise["test"] & (noise["train"] | noise["dev"])


def test_held_out_kinds_are_in_test_alone(plan: list[PlannedClip]) -> None:
    held = set(SMALL.held_out_kinds)
    for clip in plan:
        if clip.split != "test":
            assert not held & {step.kind for step in clip.chain}
    share = np.mean([bool(held & {s.kind for s in c.chain}) for c in plan if c.split == "test"])
    assert 0.4 < share < 0.9


def test_suppressors_have_noise_to_suppress(plan: list[PlannedClip]) -> None:
    for clip in plan:
        kinds = [step.kind for step in clip.chain]
        if set(kinds) & set(SUPPRESSORS):
            assert any(KINDS[kind][0] == 1 for kind in kinds)
        assert [KINDS[kind][0] for kind in kinds] == sorted(KINDS[kind][0] for kind in kinds)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_chain_has_at_most_its_steps(speech: Path, noises: tuple[Path, ...], most: int) -> None:
    config = replace(SMALL, train=200, test=100, max_steps=most)
    longest = 0
    for clip in make_plan(read_speech(speech), read_noises(noises[0].parent.parent), config):
        kinds = [step.kind for step in clip.chain]
        # a suppressor may bring the noise that it suppresses
        brought = bool(set(kinds) & set(SUPPRESSORS)) and sum(KINDS[kind][0] == 1 for kind in kinds) == 1
        assert len(kinds) <= most + brought
        longest = max(longest, len(kinds) - brought)
    assert longest == most


@pytest.mark.slow
def test_plan_is_the_same_in_every_process(
    speech: Path, noises: tuple[Path, ...], plan: list[PlannedClip]
) -> None:
    code = (
        "import sys; from sqa_data.degrade.plan import *\n"
        "c = DegradeConfig(train=40, dev=6, test=30, max_seconds=1.0)\n"
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
    assert hashlib.sha256(drawn.encode()).hexdigest()[:16] == "0245afa4be492dcf"


def test_without_noises_none_are_planned(speech: Path) -> None:
    assert not [x for x in make_plan(read_speech(speech), {}, SMALL) if "noise" in x.system_id.split("+")]


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
    (tmp_path / "other" / "manifest.csv").write_text("path,speaker,snr_proxy_db\nc.wav,carl,loud\n")
    with pytest.raises(DataError, match=r"manifest\.csv:2: snr_proxy_db is 'loud'; expected a number"):
        read_speech(tmp_path / "other")
    for name in (".hidden.wav", "note.txt", "seen.FLAC"):
        (tmp_path / "noise" / "hall" / name).touch()
    assert [path.name for path in read_noises(tmp_path / "noise" / "hall")] == ["seen.FLAC"]


def test_an_excerpt_is_at_its_level_and_faded(tmp_path: Path) -> None:
    sf.write(tmp_path / "x.wav", 0.3 + 0.2 * speech_like(), 48000, subtype="FLOAT")  # 0.67 s at 48 kHz
    excerpt = clean_excerpt(str(tmp_path / "x.wav"), 0.1, 0.5)
    assert len(excerpt) == RATE // 2
    assert 10 * np.log10(signal.active_power(excerpt)) == pytest.approx(-26, abs=0.1)
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
        render([replace(clip, noises=(Path("x.wav"),)) for clip in clips], tmp_path / "a", seed=5)


def test_an_excerpt_is_faded_by_5_ms_and_no_more(tmp_path: Path) -> None:
    tone = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    sf.write(tmp_path / "x.wav", tone, RATE, subtype="FLOAT")
    excerpt, heard = clean_excerpt(str(tmp_path / "x.wav"), 0.25, 0.5), tone[4000:12000]
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
    with pytest.raises(DataError, match="at least 3"):
        make_plan([CleanSpeech(tmp_path / "a.wav", "only")], {}, SMALL)
    with pytest.raises(DataError, match=r"unknown degradation \['nope'\]; known: reverb"):
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


def test_real_speech_gets_worse_with_severity(shared: Path) -> None:
    """PESQ, an independent judge, falls with the noise, the clipping and the codec's rate."""
    pesq = pytest.importorskip("pesq").pesq
    noise = tuple(read_noises(shared / "speech" / "noise"))
    speech = sorted((shared / "speech" / "speech" / "librispeech_test_other").glob("*.flac"))[:3]
    for kind in ("noise", "clipping", "opus", "mp3", "mnru"):
        means = []
        for severity in (0.0, 0.5, 1.0):
            scores = []
            for path in speech:
                clean = clean_excerpt(str(path), 0.0, 3.0)
                degraded, _ = degrade(clean, [Step(kind, severity)], 1, noise)
                scores.append(pesq(RATE, clean, degraded, "wb"))
            means.append(np.mean(scores))
        assert means == sorted(means, reverse=True), kind
        assert means[0] - means[-1] > 0.5, kind
