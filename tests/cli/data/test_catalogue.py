"""`sqa-cli data list` and `data show`."""

import json
from pathlib import Path

import pytest
from commands import run
from sqa_data import list_corpora
from sqa_data.corpus import SETS, expanded


def test_the_list_is_grouped_by_use_and_fits(tmp_path: Path) -> None:
    output = run("data", "list", "--raw", tmp_path, "--out", tmp_path)
    assert max(map(len, output.splitlines())) <= 80
    _, *blocks, sets = output.split("\n\n")
    groups = {block.splitlines()[0]: block.splitlines()[1:] for block in blocks}
    assert [row.split()[0] for row in groups["for development, P.835:"]] == ["chime-7-udase-eval"]
    rows = {row.split()[0]: row.split() for group in groups.values() for row in group}
    assert rows["somos"][1:] == ["20,100", ">=", "18.3", "en", "4.0", "GB", "accept"]
    assert rows["bvcc"][-3:] == ["~74.0", "GB", "accept"]
    # the Blizzard archive of 2019 is of a size that nobody published
    assert rows["bc19"][-2:] == ["?", "accept"]
    assert rows["urgent2024-sqa"][1:3] == ["244,900", "443.1"]  # all of its usual splits are published
    assert rows["tmhint-qi"][1:3] == [">=", "12,937"]  # of its test the sources disagree
    assert "urgent2026 (12 corpora)" in sets
    assert all(set(" ".join(row)) & set("~?") for name, row in rows.items() if name not in ("somos", "nisqa"))


@pytest.mark.parametrize(
    ("options", "in_it", "not_in_it"),
    [
        (["--language", "zh"], "tencent", "somos"),
        (["--scale", "p.835"], "chime-7-udase-eval", "bvcc"),
        (["--licence", "free"], "ttsds2", "nisqa"),
        (["--licence", "accept"], "nisqa", "ttsds2"),
        (["--use", "evaluation"], "urgent2024-sqa", "chime-7-udase-eval"),
    ],
)
def test_the_list_is_filtered(options: list[str], in_it: str, not_in_it: str) -> None:
    names = {row["corpus"] for row in json.loads(run("data", "list", "--json", *options))}
    assert in_it in names
    assert not_in_it not in names


def test_the_list_is_of_a_set_or_of_corpora() -> None:
    def listed(*names: str) -> set[str]:
        return {row["corpus"] for row in json.loads(run("data", "list", *names, "--json"))}

    assert listed("urgent-mos") == set(SETS["urgent-mos"][1])
    assert listed("BVCC", "vmc2026_track1", "--licence", "accept") == {"bvcc", *SETS["vmc2026-track1"][1]}
    assert "set " not in run("data", "list", "bvcc")
    assert "did you mean 'urgent-mos'?" in run("data", "list", "urgent-moss", code=1)


def test_a_filter_that_leaves_nothing_says_so() -> None:
    nothing = ("--scale", "MUSHRA", "--use", "development")
    output = run("data", "list", *nothing)
    assert output == f"no such corpus; `sqa-cli data list` shows all {len(list_corpora())}\n"
    assert json.loads(run("data", "list", *nothing, "--json")) == []


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        (
            "--scale",
            "CRR",
            "no corpus has 'CRR'; did you mean CCR? known: ACR, CCR, MUSHRA, P.835, preference",
        ),
        ("--scale", "pref", "no corpus has 'pref'; did you mean preference? known: ACR,"),
        ("--scale", "x", "no corpus has 'x'; known: ACR,"),
        (
            "--language",
            "English",
            "no corpus has 'English'; did you mean en? known: de, en, es, fi, fr, hi, ja,",
        ),
    ],
)
def test_a_value_that_no_corpus_has_is_an_error_with_those_that_there_are(
    option: str, value: str, expected: str
) -> None:
    assert expected in run("data", "list", option, value, "--json", code=2)


def test_a_set_where_one_corpus_is_asked_for() -> None:
    assert "is a set of corpora, bc19, bvcc" in run("data", "show", "URGENT2026", code=1)
    assert "did you mean 'urgent2026'?" in run("data", "download", "urgent2062", code=1)


def test_a_set_is_its_corpora() -> None:
    assert all(
        name in {corpus.name for corpus in list_corpora()} for _, names in SETS.values() for name in names
    )
    assert expanded(["bvcc", "urgent2026"]) == ["bvcc", *(n for n in SETS["urgent2026"][1] if n != "bvcc")]


def test_show_for_people() -> None:
    shown = run("data", "show", "bvcc", "--raw", "corpora")
    for text in (
        "main.tar.gz",
        "md5:fc880c2a208c3285a47bd9a64f34eb11",
        "02_gather.py",
        "Blizzard",
        "corpora/bvcc",
    ):
        assert text in shown
    assert "ood.tar.gz" in run("data", "show", "BC19")
    assert json.loads(run("data", "show", "somos", "--json"))["archives"][0]["size"] == 3971669902
    for name, form in (("urgent2025-sqa", "(parquet)"), ("ljs-mos-120", "(files)")):
        assert form in run("data", "show", name)
    assert "no corpus 'nope'" in run("data", "show", "nope", code=1)


def test_many_files_are_shown_in_part() -> None:
    shown = run("data", "show", "p835-reference")
    assert "and 137 more files, to degraded_WB_16KHz/c12_m3.wav" in shown
    assert len(shown.splitlines()) < 80


@pytest.mark.parametrize("name", [corpus.name for corpus in list_corpora()])
def test_every_corpus_is_shown(name: str) -> None:
    assert json.loads(run("data", "show", name, "--json"))["name"] == name
    assert name in run("data", "show", name)


def test_a_scale_of_several_is_found() -> None:
    for kind, name in (("CCR", "urgent2026-sqa"), ("acr", "urgent2026-sqa"), ("preference", "speecheval")):
        assert name in {row["corpus"] for row in json.loads(run("data", "list", "--scale", kind, "--json"))}
