"""`sqa-cli data list` and `data show`."""

import json
from pathlib import Path

from commands import run


def test_list_and_show_for_people(tmp_path: Path) -> None:
    output = run("data", "list", "--raw", tmp_path, "--out", tmp_path)
    splits, corpora = output.split("\n\n")
    rows = {line.split()[0]: line for line in splits.splitlines() if " train " in line}
    assert "4,974" in rows["bvcc"]
    assert "136" in rows["bc19"]
    assert all(word in rows["urgent2024-sqa"] for word in ("238,000", "238", "429.34"))
    assert "96" in rows["tcd-voip"]
    about = {line.split()[0]: line for line in corpora.splitlines()}
    assert about["bvcc"].endswith("by hand")
    assert "CC BY-NC-SA 4.0" in about["urgent2024-sqa"]
    assert max(map(len, output.splitlines())) <= 80
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
    assert "no corpus 'nope'" in run("data", "show", "nope", code=1)
