"""The one rule of systems: per corpus, the same in `score`, on the compiled road and for training."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from sqa_metrics import by_corpus, score, systems_of

Row = tuple[str, str | None, str, float]


def nested(rows: list[Row]) -> io.BytesIO:
    table = [
        {"corpus": c, "sample_id": u, "metrics": {"mos": v}} | ({"system_id": s} if s else {})
        for c, s, u, v in rows
    ]
    return io.BytesIO("".join(json.dumps(r) + "\n" for r in table).encode())


SOLO: list[Row] = [
    ("x", "A", "a1", 2.0),
    ("x", "A", "a2", 2.4),
    ("x", "B", "b1", 3.0),
    ("x", "clean", "clean", 4.8),
    ("x", None, "stray", 3.3),
    ("pstn", "u1", "u1", 1.0),
    ("pstn", "u2", "u2", 2.0),
]


def test_the_rule() -> None:
    names, self_named = systems_of(
        [s for _, s, _, _ in SOLO], [u for _, _, u, _ in SOLO], [c for c, *_ in SOLO]
    )
    assert names == ["A", "A", "B", "clean", "", "", ""]
    assert self_named == ("pstn",)
    assert systems_of(None, ["a", "b"]) == (["", ""], ())
    assert systems_of(["", None], ["a", "b"]) == (["", ""], ())


@pytest.mark.parametrize("named", ["both", "ref", "pred"])
def test_a_system_called_as_its_only_clip_counts(road: str, named: str) -> None:
    noisy = [(c, s, u, v + 0.1 * k) for k, (c, s, u, v) in enumerate(SOLO)]
    bare: list[Row] = [(c, None, u, v) for c, _, u, v in SOLO]
    ref, pred = (bare if named == "pred" else SOLO), noisy
    if named == "ref":
        pred = [(c, None, u, v) for c, _, u, v in noisy]
    report = score(nested(ref), nested(pred))
    assert (report.n_systems, report.corpora["x"].n_systems, report.corpora["pstn"].n_systems) == (3, 3, 0)
    assert report.n_ref_systems == 3
    assert report.corpora["pstn"].system is None
    if named != "pred":
        note = "no system level of pstn: every system_id is the utterance's own sample_id"
        assert note in report.notes()
    else:
        assert "no system level of pstn: no utterance has a system_id" in report.notes()


def test_an_id_that_repeats_the_sample_is_no_part_of_the_key(road: str) -> None:
    """The reference names `clean` as a system, the prediction leaves that one out: still the same utterance."""
    pred = [(c, None if s == "clean" else s, u, v) for c, s, u, v in SOLO]
    assert score(nested(SOLO), nested(pred)).n_systems == 3
    assert score(nested(pred), nested(SOLO)).n_systems == 2


def test_shared_case(shared: Path) -> None:
    folder = shared / "cases" / "scores"
    report = score(folder / "solo.ref.jsonl", folder / "solo.pred.jsonl")
    assert report.n_systems == 3
    assert report.system is not None
    assert report.system["mse"] == pytest.approx(3.638, abs=1e-3)


def test_training_has_the_figures_of_score() -> None:
    rng = np.random.default_rng(0)
    for systems in (["s1", "s2", "s3"] * 4, [f"s{k}" for k in range(12)], [None] * 12, ["one"] * 12):
        rows: list[Row] = [("xy"[k % 2], s, f"u{k}", float(rng.normal())) for k, s in enumerate(systems)]
        pred = [(c, s, u, float(rng.normal())) for c, s, u, _ in rows]
        report = score(nested(rows), nested(pred))
        corpus, system, sample, ref = zip(*rows, strict=True)
        found = by_corpus(np.array(ref), np.array([p[3] for p in pred]), system, corpus, sample)
        assert list(found) == ["x", "y"]
        for name, figures in found.items():
            part = report.corpora[name].as_dict()
            expected = {"clips": part["n_utterances"]}
            expected |= {f"utterance_{m}": v for m, v in part["utterance"].items()}
            if part["system"]:
                expected |= {"systems": part["n_systems"]}
                expected |= {f"system_{m}": v for m, v in part["system"].items()}
            assert figures == expected


def test_six_systems_of_one_clip_each_have_a_system_level() -> None:
    system = [f"s{k}" for k in range(6)]
    figures = by_corpus(np.arange(6.0), np.arange(6.0) ** 2, system, ["x"] * 6)["x"]
    assert figures["systems"] == 6
    assert figures["system_lcc"] == figures["utterance_lcc"]
    own = by_corpus(np.arange(6.0), np.arange(6.0) ** 2, system, ["x"] * 6, sample=system)["x"]
    assert "systems" not in own


def test_undefined_figures_are_none() -> None:
    figures = by_corpus(np.arange(3.0), np.ones(3), [None] * 3, ["x"] * 3)["x"]
    assert figures["utterance_lcc"] is None
    assert figures["utterance_mse"] is not None
