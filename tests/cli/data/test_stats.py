"""`sqa-cli data stats`."""

import json
from pathlib import Path

from commands import run


def test_stats(manifest: Path) -> None:
    output = run("data", "stats", manifest, "--plot")
    assert "chime-7-udase-eval  test" in output
    assert "█" in output
    (stats,) = json.loads(run("data", "stats", manifest, "--json"))
    assert (stats["samples"], stats["systems"], stats["mos"]["mean"]) == (2, 2, 2.75)
    assert stats["labels"] == {"mos": 2, "mos_bak": 2, "mos_sig": 2}
    assert sum(stats["mos"]["counts"]) == 2
