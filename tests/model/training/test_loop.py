"""The loop: accumulation equals the big batch, a resumed run the uninterrupted one; errors name names."""

import dataclasses
import json
import math
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sqa_model import load
from sqa_model.errors import ModelError
from sqa_model.network.comparison import Encoded
from sqa_model.network.model import Features, MosModel
from sqa_model.training.build import build_model
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.journal import Event
from sqa_model.training.loop import train
from tiny_training import TINY, TINY_WAVLM, lines, same, weights, write_corpus

Configure = Callable[..., TrainConfig]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small only lose by a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train/data.jsonl and dev/data.jsonl."""
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder / "train", 30, seed=0)
    write_corpus(folder / "dev", 12, seed=1)
    return folder


@pytest.fixture
def configure(corpus: Path) -> Configure:
    def make(*overrides: str, base: list[str] = TINY) -> TrainConfig:
        data = [f"data.train={corpus}/train/data.jsonl", f"data.dev={corpus}/dev/data.jsonl"]
        return load_config("mini" if base is TINY else None, overrides=[*base, *data, *overrides])

    return make


def die_after(update: int) -> Callable[[Event], None]:
    """A `watch` that ends the run without any goodbye after an update."""

    def watch(at: Event) -> None:
        if (at.kind, at.update) == ("update", update):
            raise SystemExit("killed")

    return watch


def test_a_run_leaves_everything_that_was_promised(configure: Configure, tmp_path: Path) -> None:
    result = train(configure("run.tensorboard=true"), tmp_path / "run")
    assert result.finished
    folder = tmp_path / "run"
    names = {p.name.split(".")[0] if "events" in p.name else p.name for p in folder.iterdir()}
    assert names - {".run.lock"} == {
        *(
            "best",
            "best.json",
            "last",
            "config.json",
            "environment.json",
            "events",
            "log.txt",
            "metrics.jsonl",
        )
    }
    for name in ("best", "last"):
        assert {"config.json", "model.safetensors"} <= {p.name for p in (folder / name).iterdir()}
    rows = lines(folder)
    assert [row["update"] for row in rows if "loss" in row] == list(range(1, result.updates + 1))
    assert {"loss", "lr", "grad_norm", "loss_mos", "audio_per_s", "epoch"} <= rows[0].keys()
    figures = result.last["a"]["mos"]
    assert figures["systems"] == 3
    assert {
        f"{level}_{m}" for level in ("utterance", "system") for m in ("mse", "lcc", "srcc", "ktau")
    } <= figures.keys()
    assert rows[-1]["dev"] == result.last
    assert json.loads((folder / "environment.json").read_text())["torch"] == torch.__version__
    assert train(configure(), folder) == result  # a finished run is finished


def test_the_callers_random_numbers_are_left_alone(configure: Configure, tmp_path: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(configure("epochs=1"), tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)


def test_accumulation_equals_the_big_batch(configure: Configure, tmp_path: Path) -> None:
    options = ["model.dropout=0", "loss.kind=huber", "loss.corpus_scale=true", 'model.heads=["mos","pesq"]']
    train(configure(*options), tmp_path / "one")
    train(configure(*options, "batch.micro_seconds=0.8"), tmp_path / "many")
    one, many = weights(tmp_path / "one"), weights(tmp_path / "many")
    # a key's bias has no gradient (softmax ignores it), only rounding noise, which AdamW scales up
    differ = [
        n
        for n in one
        if not torch.allclose(one[n], many[n], atol=2e-6, rtol=1e-4) and "in_proj_bias" not in n
    ]
    assert not differ
    a, b = ([row["loss"] for row in lines(tmp_path / name) if "loss" in row] for name in ("one", "many"))
    assert a == pytest.approx(b, rel=1e-4)


EXTRAS = {
    "plain": [],
    "freezing": [
        "optim.freeze_updates=2",
        "optim.layers_per_epoch=1",
        "optim.layer_decay=0.7",
        'optim.schedule="reference"',
    ],
    "everything": [
        'model.heads=["mos","mos_std","pesq"]',
        "loss.kind=nll",
        "loss.rank=0.5",
        "loss.corpus_scale=true",
        "data.balance=true",
        "precision=bf16",
        "batch.micro_seconds=2",
        "eval.every=3",
    ],
}


@pytest.mark.parametrize("extras", EXTRAS)
def test_a_killed_run_ends_with_the_same_bits(configure: Configure, tmp_path: Path, extras: str) -> None:
    config = configure(*EXTRAS[extras])
    total = train(config, tmp_path / "whole").updates
    for update in (1, 2, total - 1):
        with pytest.raises(SystemExit):
            train(config, tmp_path / "killed", watch=die_after(update))
    result = train(config, tmp_path / "killed")
    assert result.finished
    assert same(tmp_path / "whole", tmp_path / "killed")
    timing = ("audio_per_s", "read_wait")
    whole, killed = (
        [{k: v for k, v in row.items() if k not in timing} for row in lines(tmp_path / name)]
        for name in ("whole", "killed")
    )
    assert whole == killed
    best = [(tmp_path / name / "best" / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert best[0] == best[1]


def test_ctrl_c_saves_and_the_same_command_goes_on(configure: Configure, tmp_path: Path) -> None:
    # whatever this process has inherited: a shell's background jobs ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config = configure("run.save_minutes=60")
    train(config, tmp_path / "whole")

    def interrupt(at: Event) -> None:
        if (at.kind, at.update) == ("update", 2):
            os.kill(os.getpid(), signal.SIGINT)

    stopped = train(config, tmp_path / "run", watch=interrupt)
    assert (stopped.finished, stopped.updates) == (False, 2)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert train(config, tmp_path / "run").finished
    assert same(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_before_the_first_update_it_starts_again(
    configure: Configure,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    caplog.set_level("INFO", "sqa_model.training")
    config = configure("epochs=1")
    train(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("sqa_model.training.run._log_start", lambda *_: signal.raise_signal(number))
        stopped = train(config, tmp_path / "run")
    assert (stopped.finished, stopped.updates, stopped.best) == (False, 0, {})
    assert not (tmp_path / "run" / "last").exists()
    assert "stopped after update 0 of 4, nothing to save; the same command goes on" in caplog.text
    assert train(config, tmp_path / "run").finished
    assert same(tmp_path / "whole", tmp_path / "run")


def test_a_development_set_that_is_trained_on_is_refused_unless_allowed(
    configure: Configure, corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(configure("epochs=1"), tmp_path / "run")
    assert "trained on too" not in caplog.text
    (tmp_path / "link").symlink_to(corpus / "train")
    same_clips = ("epochs=1", f"data.dev={tmp_path}/link/data.jsonl")
    with pytest.raises(
        ModelError, match=r"30 of the 30 clips for development are trained on too.*data\.leaks=allow"
    ):
        train(configure(*same_clips), tmp_path / "same")
    assert not (tmp_path / "same").exists()
    assert train(configure(*same_clips, "data.leaks=allow"), tmp_path / "same").finished
    assert "30 of the 30 clips for development are trained on too" in caplog.text


def test_a_second_training_in_the_folder_is_refused_and_the_first_loses_no_line(
    configure: Configure, tmp_path: Path
) -> None:
    config = configure("epochs=1")
    refused: list[str] = []

    def watch(at: Event) -> None:
        code = f"from sqa_data.atomic import is_locked; print(is_locked({str(tmp_path / 'run' / '.run')!r}))"
        if (at.kind, at.update) == ("update", 1):
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            refused.append(done.stdout.strip())

    result = train(config, tmp_path / "run", watch=watch)
    assert refused == ["True"]
    updates = [row["update"] for row in lines(tmp_path / "run") if "loss" in row]
    assert updates == list(range(1, result.updates + 1))


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are POSIX")
def test_a_disk_that_fills_up_is_one_line_and_the_run_goes_on_later(
    configure: Configure, tmp_path: Path
) -> None:
    import resource

    config = configure()
    total = train(config, tmp_path / "whole").updates
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def watch(at: Event) -> None:
        if (at.kind, at.update) == ("update", total - 1):  # nothing longer than 20 kB fits any more
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))

    try:
        with pytest.raises(ModelError, match=r"run/last: cannot write the checkpoint: .*before it is intact"):
            train(config, tmp_path / "run", watch=watch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [p for p in (tmp_path / "run").iterdir() if p.name.endswith((".partial", ".tmp"))]
    assert train(config, tmp_path / "run").finished
    assert same(tmp_path / "whole", tmp_path / "run")


def test_a_development_set_needs_the_choosing_head_only(
    configure: Configure, corpus: Path, tmp_path: Path
) -> None:
    dev = write_corpus(tmp_path / "dev", 12, seed=1, labels="mos")
    options = [f"data.dev={dev}", 'model.heads=["mos","pesq"]', "epochs=1"]
    assert list(train(configure(*options), tmp_path / "run").last["a"]) == ["mos"]
    with pytest.raises(ModelError, match=r"data\.dev: no utterance has the label 'pesq'"):
        train(configure(*options, "eval.head=pesq"), tmp_path / "other")


def test_checkpoints_follow_the_umask(configure: Configure, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        train(configure("epochs=1"), tmp_path / "run")
    finally:
        os.umask(before)
    modes = {
        p.relative_to(tmp_path).as_posix(): stat.S_IMODE(p.stat().st_mode)
        for p in tmp_path.rglob("*")
        if p.is_file() and p.suffix != ".lock"
    }
    assert {name for name, mode in modes.items() if mode != 0o644} == set()


def test_seed_changes_the_run_and_only_the_seed_repeats_it(configure: Configure, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(configure(f"seed={seed}", "epochs=1"), tmp_path / name)
    assert same(tmp_path / "a", tmp_path / "b")
    assert not same(tmp_path / "a", tmp_path / "c")


def test_a_frozen_backbone_stays_and_unfrozen_layers_learn(configure: Configure, tmp_path: Path) -> None:
    for unfreeze in (0, 1, -1):
        config = configure(
            f"optim.unfreeze={unfreeze}", "optim.backbone_lr=1e-3", "epochs=1", base=TINY_WAVLM
        )
        torch.manual_seed(config.seed)
        before = build_model(config).state_dict()
        train(config, tmp_path / str(unfreeze))
        after = weights(tmp_path / str(unfreeze))
        changed = {name for name in after if not torch.equal(after[name], before[name])}
        backbone = {name for name in changed if name.startswith("backbone.")}
        if unfreeze == 0:
            assert not backbone
        elif unfreeze == 1:
            assert backbone
            assert all(name.startswith("backbone.layers.2.") for name in backbone)
        else:
            assert {"backbone.projection.weight", "backbone.convolutions.first"} <= backbone
        assert {"mix", "projection.weight", "metrics.weight"} <= changed


@pytest.mark.parametrize(("precision", "used"), [("fp32", True), ("bf16", False)])
def test_the_library_that_multiplies_is_chosen_once_in_a_run(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, used: bool
) -> None:
    """Measured again after a kill it might come out differently, and with it the last digits."""
    found, before = list[bool](), torch.backends.mkldnn.matmul.fp32_precision
    config = configure("epochs=1", f"precision={precision}")

    def run(pays: bool, end: Callable[[Event], None]) -> None:
        def watch(at: Event) -> None:
            if at.kind == "update":
                found.append(torch.backends.mkldnn.matmul.fp32_precision == "bf16")
            end(at)

        monkeypatch.setattr("sqa_model.training.run.onednn_pays", lambda: pays)
        train(config, tmp_path / "run", watch=watch)

    with pytest.raises(SystemExit):
        run(True, die_after(2))
    run(False, lambda at: None)
    assert len(found) > 2
    assert set(found) == {used}
    assert torch.backends.mkldnn.matmul.fp32_precision == before
    state = json.loads((tmp_path / "run" / "last" / "training.json").read_text())
    assert state.get("onednn", False) == used


def test_until_its_backbone_begins_a_run_is_a_frozen_one(configure: Configure, tmp_path: Path) -> None:
    frozen = configure(base=TINY_WAVLM)
    late = configure("optim.unfreeze=2", "optim.freeze_epochs=1", base=TINY_WAVLM)
    for name, config in (("frozen", frozen), ("late", late)):
        train(config, tmp_path / name)
    one, other = ([row for row in lines(tmp_path / name) if "loss" in row] for name in ("frozen", "late"))
    epoch = sum(row["epoch"] == 0 for row in one)
    timing = ("audio_per_s", "read_wait")
    for a, b in zip(one[:epoch], other[:epoch], strict=True):
        assert {k: v for k, v in a.items() if k not in timing} == {
            k: v for k, v in b.items() if k not in timing
        }
    start, end = weights(tmp_path / "frozen"), weights(tmp_path / "late")
    layers = {f"backbone.layers.{i}." for i in (1, 2)}
    for name in start:
        if name.startswith("backbone."):
            assert torch.equal(start[name], end[name]) == (not name.startswith(tuple(layers)))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_cached_run_learns_the_same_and_is_resumed_exactly(
    configure: Configure, tmp_path: Path, precision: str
) -> None:
    options = [f"data.cache={tmp_path}/cache", "data.max_seconds=1.0", "epochs=3", "eval.every=2"]
    options.append(f"precision={precision}")
    plain = configure(*options[1:], base=TINY_WAVLM)
    train(plain, tmp_path / "plain")
    train(configure(*options, base=TINY_WAVLM), tmp_path / "cached")
    one, other = ([row["loss"] for row in lines(tmp_path / n) if "loss" in row] for n in ("plain", "cached"))
    assert one == pytest.approx(other, rel=0.02)  # half precision

    config = configure(f"data.cache={tmp_path}/cache2", *options[1:], base=TINY_WAVLM)
    total = len(other)
    for update in (1, 3, total - 2):  # while it fills, at the end of the first epoch, and when it is full
        with pytest.raises(SystemExit):
            train(config, tmp_path / "killed", watch=die_after(update))
    train(config, tmp_path / "killed")
    assert same(tmp_path / "cached", tmp_path / "killed")


def test_later_epochs_do_not_compute_the_backbone(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    original = MosModel.features

    def counted(model: MosModel, waves: list[torch.Tensor]) -> Features:
        computed.append(len(waves))
        return original(model, waves)

    monkeypatch.setattr(MosModel, "features", counted)
    config = configure(f"data.cache={tmp_path}/cache", "epochs=4", "run.ahead=1", base=TINY_WAVLM)
    train(config, tmp_path / "run")
    clips = 30 + 12
    assert clips <= sum(computed) < 1.6 * clips  # read-ahead may compute the first of the second epoch again


def test_recomputing_activations_changes_nothing(configure: Configure, tmp_path: Path) -> None:
    options = ["optim.unfreeze=2", "epochs=1"]
    train(configure(*options, base=TINY_WAVLM), tmp_path / "kept")
    train(configure(*options, "run.checkpointing=true", base=TINY_WAVLM), tmp_path / "recomputed")
    one, other = weights(tmp_path / "kept"), weights(tmp_path / "recomputed")
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)


def test_development_clips_are_heard_to_their_ends(
    configure: Configure, corpus: Path, tmp_path: Path
) -> None:
    """However short the pieces are that training cuts: the figures are those of the whole clips."""
    result = train(configure("epochs=1"), tmp_path / "run")
    model, errors = load(tmp_path / "run" / "best").eval(), list[float]()
    for row in map(json.loads, (corpus / "dev" / "data.jsonl").read_text().splitlines()):
        if row["corpus"] == "a" and "mos" in row["metrics"]:
            wave = torch.from_numpy(soundfile.read(corpus / "dev" / row["audio_path"], dtype="float32")[0])
            with torch.no_grad():
                errors.append(float(model([wave])[0, 0]) - row["metrics"]["mos"])
    assert result.best["a"]["mos"]["utterance_mse"] == pytest.approx(np.mean(np.square(errors)), rel=1e-4)


def test_early_stop(configure: Configure, tmp_path: Path) -> None:
    config = configure("eval.every=1", "eval.patience=2", "epochs=50", "optim.lr=1e-9", "optim.ema=none")
    result = train(config, tmp_path / "run")
    assert result.finished
    assert result.updates - result.best_update == 2
    assert train(config, tmp_path / "run").updates == result.updates


def test_continue_from_a_checkpoint(configure: Configure, tmp_path: Path) -> None:
    train(configure(), tmp_path / "first")
    start = weights(tmp_path / "first")
    base = [item for item in TINY if not item.startswith("model.")]
    config = configure(f"model.init={tmp_path}/first/last", "optim.lr=1e-12", "optim.unfreeze=-1", base=base)
    train(config, tmp_path / "second")
    assert all(torch.allclose(v, start[k], atol=1e-6) for k, v in weights(tmp_path / "second").items())


def test_an_update_without_labels_trains_nothing_and_breaks_nothing(
    configure: Configure, tmp_path: Path
) -> None:
    manifest = write_corpus(tmp_path / "data", 12, seed=3)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    labelled = sum("mos" in row["metrics"] for row in rows)
    assert 0 < labelled < 12
    train(configure(f"data.train={manifest}", "batch.clips=1", "epochs=1"), tmp_path / "run")
    updates = [row for row in lines(tmp_path / "run") if "loss" in row]
    assert len(updates) == 12
    assert sum("loss_mos" in row for row in updates) == labelled
    assert all(row["loss"] == row["grad_norm"] == 0 for row in updates if "loss_mos" not in row)


def test_unreadable_files_are_skipped_up_to_a_limit(configure: Configure, tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "data", 20, seed=4)
    (tmp_path / "data" / "3.wav").unlink()
    (tmp_path / "data" / "5.wav").write_text("this is not audio")
    config = configure(f"data.train={manifest}", "data.max_unreadable=2")
    train(config, tmp_path / "run")
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "3.wav: no such file" in log
    assert "5.wav" in log
    with pytest.raises(
        ModelError, match=r"(?s)data\.train: 2 audio files.*max_unreadable = 1.*3\.wav.*5\.wav|5\.wav.*3\.wav"
    ):
        train(configure(f"data.train={manifest}", "data.max_unreadable=1"), tmp_path / "strict")
    for clip in range(10, 15):
        (tmp_path / "data" / f"{clip}.wav").unlink()
    train(configure(f"data.train={manifest}", "data.max_unreadable=7"), tmp_path / "many")
    told = [line for line in (tmp_path / "many" / "log.txt").read_text().splitlines() if "skipped" in line]
    assert len(told) == 1
    assert "skipped 7 audio files: " in told[0]
    assert told[0].endswith("; and 2 more")


def test_unreadable_development_files_are_named(configure: Configure, tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "data", 5, seed=5)
    (tmp_path / "data" / "2.wav").unlink()
    with pytest.raises(ModelError, match=r"(?s)data\.dev: 1 audio files.*2\.wav: no such file"):
        train(configure(f"data.dev={manifest}", "data.max_unreadable=0"), tmp_path / "run")


def test_divergence_names_update_and_remedy(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"update \d+ \(epoch \d\): the .* is (nan|inf).*optim\.lr"):
        train(configure("optim.lr=1e30", "optim.clip=none", "epochs=9"), tmp_path / "run")


def test_divergence_names_the_clips(
    configure: Configure, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clip without a finite prediction among thirty: it is named, and no other."""
    rows = map(json.loads, (corpus / "train" / "data.jsonl").read_text().splitlines())
    # one that is not cropped to data.max_seconds, and labelled: the loss passes over others
    name = next(row["audio_path"] for row in rows if row["duration"] < 0.7 and "mos" in row["metrics"])
    length = soundfile.info(corpus / "train" / name).frames
    real = MosModel.encode

    def spoiled(model: MosModel, waves: list[torch.Tensor]) -> Encoded:
        encoded = real(model, waves)
        clips = zip(waves, encoded.frames.split(encoded.lengths), strict=True)
        frames = [frames * (math.nan if len(wave) == length else 1) for wave, frames in clips]
        return encoded._replace(frames=torch.cat(frames))

    monkeypatch.setattr(MosModel, "encode", spoiled)
    with pytest.raises(ModelError, match=rf"loss is nan; without a finite prediction: \S*/{name}\. The"):
        train(configure(), tmp_path / "run")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ['model.heads=["mos","utmos"]'],
            r"data\.train: no utterance has the label 'utmos'.*found: mos, pesq",
        ),
        (["eval.head=pesq"], r"eval\.head: found 'pesq', expected a head of the model: mos"),
        (['model.heads=["mos","mos_std"]'], r"'mos_std' is only learned with loss\.kind"),
        (["optim.unfreeze=0"], "logmel has no pretrained weights"),
        (["optim.lora_rank=2"], "logmel has no pretrained weights"),
        (["optim.freeze_updates=9"], r"optim\.freeze_updates: found 9, expected fewer than the 8 updates"),
        (["model.backbone=wav2vec"], r"model\.backbone: found 'wav2vec', expected one of logmel"),
        (["model.sizes.depth=3"], r"model\.sizes\.depth: found 3, expected a field of logmel"),
        (["data.train=[]"], r"data\.train: found no manifest"),
        (["data.train=nowhere/*.jsonl"], r"data\.train: no file matches 'nowhere/\*\.jsonl'"),
        (["data.weights.a=0", "data.weights.b=0"], "nothing to train on"),
        (
            ["data.cache=somewhere"],
            r"data\.cache: needs a backbone that is frozen .* found optim\.unfreeze = -1",
        ),
        (["run.device=cuda:99"], r"run\.device|CUDA|cuda"),
        (["run.device=tpu"], r"run\.device: found 'tpu'"),
    ],
)
def test_a_run_that_cannot_be_is_refused(
    configure: Configure, tmp_path: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        train(configure(*overrides), tmp_path / "run")


def test_a_damaged_checkpoint_is_an_error_not_a_fresh_start(configure: Configure, tmp_path: Path) -> None:
    train(configure("epochs=1"), tmp_path / "run")
    (tmp_path / "run" / "last" / "training.safetensors").write_bytes(b"torn")
    with pytest.raises(ModelError, match="damaged checkpoint"):
        train(configure("epochs=1"), tmp_path / "run")


def test_long_clips_are_cropped_and_counted(configure: Configure, corpus: Path, tmp_path: Path) -> None:
    train(configure("epochs=1"), tmp_path / "run")
    durations = [
        json.loads(line)["duration"] for line in (corpus / "train" / "data.jsonl").read_text().splitlines()
    ]
    expected = sum(duration > 0.7 for duration in durations)
    assert sum(row.get("cropped", 0) for row in lines(tmp_path / "run")) == expected > 0


# Processes: slow, because each of them imports torch.


def command(config: TrainConfig, out: Path, processes: int = 1) -> list[str]:
    """The command line that trains `config` in `out`, through torchrun where there are several processes."""
    toml = out.with_suffix(".toml")
    sections = dataclasses.asdict(config)
    toml.write_text("".join(_toml(sections)))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [
        *(sys.executable, *(launcher if processes > 1 else [])),
        *("-m", "sqa_cli", "train", "--config", str(toml), "--out", str(out)),
    ]


def _toml(table: dict, prefix: str = "") -> Iterator[str]:
    """Lines of `name = value` with dotted names; None is written "none"."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _toml(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key} = {json.dumps('none' if value is None else value)}\n"


def updates_logged(folder: Path) -> int:
    """Lines of metrics.jsonl, the last one perhaps torn."""
    path = folder / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def run(arguments: list[str]) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, env=QUIET, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


QUIET = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_killed_with_minus_nine_it_still_ends_with_the_same_bits(
    configure: Configure, tmp_path: Path
) -> None:
    """kill -9 at moments nobody chose, between and inside saves, until the command gets through."""
    config = configure(*EXTRAS["everything"], "epochs=6", "eval.every=2")
    run(command(config, tmp_path / "whole"))
    arguments = command(config, tmp_path / "killed")
    folder = tmp_path / "killed"
    rng, kills = np.random.default_rng(0), 0
    for _ in range(4):
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=QUIET)
        before = updates_logged(folder)
        while process.poll() is None:  # wait until it trains again, then strike after up to 150 ms
            if updates_logged(folder) > before + 1:
                break
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.15))
        if process.poll() is None:
            process.kill()
            kills += 1
        process.wait()
    assert kills >= 3, "the runs were over before they could be killed: nothing was tested"
    run(arguments)
    assert same(tmp_path / "whole", folder)


@pytest.mark.slow
def test_one_two_and_three_processes_give_one_loss_curve(configure: Configure, tmp_path: Path) -> None:
    """gloo; the micro-batches have a stated size, so even the dropout masks are the same."""
    config = configure(
        'model.heads=["mos","pesq"]', "batch.micro_seconds=1.5", "loss.rank=0.3", "loss.corpus_scale=true"
    )
    curves, figures, predicted = {}, {}, {}
    for processes in (1, 2, 3):
        out = tmp_path / str(processes)
        printed = run(command(config, out, processes))
        assert printed.count("best checkpoint") == 1  # one process talks for all
        rows = lines(out)
        curves[processes] = [row["loss"] for row in rows if "loss" in row]
        figures[processes] = [row["dev"]["a"]["mos"]["clips"] for row in rows if "dev" in row]
        predicted[processes] = rows[-1]["dev"]["a"]["mos"]["utterance_mse"]
        assert json.loads((out / "environment.json").read_text())["processes"] == processes
    for processes in (2, 3):
        assert curves[processes] == pytest.approx(curves[1], rel=1e-4)
        assert figures[processes] == figures[1]  # every development clip once, whoever scored it
        assert predicted[processes] == pytest.approx(predicted[1], rel=1e-3)
    assert len(set(curves[1])) == len(curves[1]) >= 8


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_on_a_gpu_a_killed_run_ends_close_to_the_whole_one(
    configure: Configure, tmp_path: Path, precision: str
) -> None:
    config = configure("run.device=cuda", f"precision={precision}", "model.dropout=0.1", base=TINY_WAVLM)
    total = train(config, tmp_path / "whole").updates
    with pytest.raises(SystemExit):
        train(config, tmp_path / "killed", watch=die_after(total // 2))
    train(config, tmp_path / "killed")
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.allclose(one[name], other[name], atol=1e-3) for name in one)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_and_cpu_learn_alike(configure: Configure, tmp_path: Path) -> None:
    for device in ("cpu", "cuda"):
        train(configure(f"run.device={device}", "model.dropout=0"), tmp_path / device)
    a, b = ([row["loss"] for row in lines(tmp_path / d) if "loss" in row] for d in ("cpu", "cuda"))
    assert a == pytest.approx(b, rel=0.02)
