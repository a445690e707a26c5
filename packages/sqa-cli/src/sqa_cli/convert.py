"""`sqa-cli convert`: a published checkpoint becomes config.json + model.safetensors; or ours one of UrgentMOS."""

from pathlib import Path

import click

from sqa_cli import options as o
from sqa_cli.terminal import say


@click.command()
@click.argument("model")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@o.config
@click.option("--dtype", type=click.Choice(["float32", "float16"]), default="float32", show_default=True)
@click.option(
    "--to",
    "layout",
    type=click.Choice(["ours", "urgentmos"]),
    default="ours",
    show_default=True,
    help="urgentmos: the model.pt that UrgentMOS's own code loads, of a WavLM base model.",
)
@click.option("--push", metavar="OWNER/NAME", help="Also upload the folder to this Hub repository.")
def convert(model: str, folder: Path, config: Path | None, dtype: str, layout: str, push: str | None) -> None:
    """Write MODEL (a Hub id, folder, file, or default-1) as config.json + model.safetensors in FOLDER.

    \b
    Examples:
      sqa-cli convert vvwangvv/universa-ext_wavlm-base_5metric models/five
      sqa-cli convert exp/five models/mine --dtype float16
      sqa-cli convert exp/five/model_3000.pt models/early --config configs/five.yaml
      sqa-cli convert runs/five/best upload --push me/five
      sqa-cli convert urgent-challenge/urgent-mos-f1c1m5dcorpus models/urgentmos
      sqa-cli convert runs/pairs/best exp/pairs --to urgentmos
    """
    from sqa_data.atomic import lock
    from sqa_model.checkpoint.locate import OURS, PUBLISHED, check_name, push_to_hub

    # torch takes seconds to load; a wrong name is told before
    check_name(model, config)
    from sqa_model.checkpoint.ours import load, save
    from sqa_model.checkpoint.to_urgent_mos import write_urgent_mos

    loaded = load(model, config=config)
    # two files make a model: those of another process must not come between
    with lock(folder / ".convert"):
        write, files = (save, OURS) if layout == "ours" else (write_urgent_mos, PUBLISHED[1:])
        write(loaded, folder, dtype=dtype)
        say(f"{folder}: {', '.join(loaded.config.names)}; model {loaded.fingerprint()}")
        if push:
            say(push_to_hub(folder, push, files))
