"""From a config to the network that learns: heads and their ranges."""

from sqa_model.training.build import build_model
from sqa_model.training.config_text import load_config
from tiny_training import TINY_WAVLM


def test_heads_have_the_ranges_of_their_labels() -> None:
    heads = ["mos", "mos_std", "spksim", "mcd", "sdr", "something_new"]
    config = load_config(overrides=[*TINY_WAVLM, f"model.heads={heads}".replace("'", '"'), "loss.kind=nll"])
    found = {head.name: (head.min, head.max) for head in build_model(config).config.heads}
    assert found == {
        "mos": (1.0, 5.0),
        "mos_std": (0.0, None),
        "spksim": (-1.0, 1.0),
        "mcd": (0.0, None),
        "sdr": (None, None),
        "something_new": (None, None),
    }
