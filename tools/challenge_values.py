"""Labels of `tests/label_pairs.py` by the URGENT challenge's own code: `tests/data/labellers/challenge_values.json`.

    git clone https://github.com/urgent-challenge/urgent2025_challenge
    python -m venv urgent && urgent/bin/pip install "numpy<2" "setuptools<81" cython
    urgent/bin/pip install --no-build-isolation pysptk fastdtw fast-bss-eval pesq pystoi librosa soundfile soxr \
        tqdm requests onnxruntime speechmos
    urgent/bin/python tools/challenge_values.py urgent2025_challenge ../shared/data/speech_samples

PESQ, ESTOI, SDR, LSD and MCD are its functions of `evaluation_metrics/calculate_intrusive_se_metrics.py`. Its DNSMOS is
espnet's copy of Microsoft's program, of samples at soxr's rate and length: here `speechmos`, the same program with the
same weights. An environment of its own, since fast-bss-eval's `bss_eval_sources` does not run on NumPy 2.
"""

import argparse
import importlib.metadata
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT = ROOT / "tests" / "data" / "labellers" / "challenge_values.json"
PACKAGES = (
    "pesq",
    "pystoi",
    "fast-bss-eval",
    "librosa",
    "pysptk",
    "fastdtw",
    "speechmos",
    "onnxruntime",
    "soxr",
    "numpy",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("challenge", type=Path, help="checkout of urgent2025_challenge")
    parser.add_argument("samples", type=Path, help="the folder speech_samples")
    arguments = parser.parse_args()
    sys.path[:0] = [str(ROOT / "tests"), str(arguments.challenge / "evaluation_metrics")]
    warnings.simplefilter("ignore")
    import calculate_intrusive_se_metrics as challenge
    import soundfile
    import soxr
    from label_pairs import cases, make
    from speechmos import dnsmos

    values = {}
    for case in cases():
        reference, degraded = make(case, arguments.samples)
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:  # of a file it takes what exceeds full scale
            at_16000 = degraded if case.rate == 16000 else soxr.resample(degraded, case.rate, 16000)
            soundfile.write(file.name, at_16000, 16000, subtype="FLOAT")
            opinions = dnsmos.run(file.name, 16000)
        found = {
            "pesq": challenge.pesq_metric(reference, degraded, case.rate),
            "estoi": challenge.estoi_metric(reference, degraded, case.rate),
            "sdr": challenge.sdr_metric(reference, degraded),
            "lsd": challenge.lsd_metric(reference, degraded, case.rate),
            "mcd": challenge.mcd_metric(reference, degraded, case.rate),
            **{f"dnsmos_{name}": opinions[f"{name}_mos"] for name in ("ovrl", "sig", "bak", "p808")},
        }
        values[case.name] = {label: float(f"{float(value):.9g}") for label, value in found.items()}
        print(case.name, values[case.name], flush=True)
    made = {name: importlib.metadata.version(name) for name in PACKAGES}
    commit = ["git", "-C", str(arguments.challenge), "rev-parse", "HEAD"]
    made["urgent2025_challenge"] = subprocess.run(
        commit, capture_output=True, text=True, check=True
    ).stdout.strip()
    OUT.write_text(json.dumps({"made_with": made, "values": values}, indent=1) + "\n")


if __name__ == "__main__":
    main()
