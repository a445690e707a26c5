"""Distill-MOS (Stahl and Gamper 2025): a small network that predicts MOS; weights come with `distillmos`."""

import contextlib
import io

from sqa_data.labellers import Score
from sqa_data.labellers.signals import Signals


def distill_mos(device: str, fast: bool) -> Score:
    """As `distillmos FILE` does: the first channel, torchaudio's resampler, windows of 7.68 s.

    `fast`: the convolutions (95 % of the work) in bfloat16, which moves scores by some thousandths.
    """
    import distillmos.sqa as package

    # the library's own: this package never imports torch itself
    torch, torchaudio = package.torch, package.torchaudio
    with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights lie
        model = package.ConvTransformerSQAModel().eval().to(device)
    if fast:
        convolve = model.cnn.forward

        def in_bfloat16(samples):  # type: ignore[no-untyped-def]
            with torch.autocast(device.split(":")[0], torch.bfloat16):
                return convolve(samples).float()

        model.cnn.forward = in_bfloat16

    def score(clip: Signals) -> dict[str, float]:
        rate = clip.simple_rate(16000)
        samples = torch.from_numpy(clip.channels(rate)[:1].copy())  # (1, samples)
        if rate != 16000:
            samples = torchaudio.transforms.Resample(rate, 16000)(samples)
        with torch.inference_mode():
            return {"distill_mos": float(model(samples.to(device)))}

    return score
