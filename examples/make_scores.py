"""Write the simulated score files of the README's first example (no listener was asked).

Twelve systems of different true quality, twenty utterances each, eight listeners per utterance who vote 1..5; three
predictors that see the true quality through noise: `sharp` (little noise), `biased` (the same order, 0.4 too high)
and `blunt` (much noise, compressed range). `ratings.csv` holds the single votes behind `ref.jsonl`, `pairs.csv` the
means of votes of -3..3 on which of two utterances is better.

    uv run python examples/make_scores.py
"""

import json
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent / "scores"
SYSTEMS, UTTERANCES, VOTES = 12, 20, 8


def main() -> None:
    rng = np.random.default_rng(2026)
    quality = np.repeat(np.linspace(1.6, 4.4, SYSTEMS), UTTERANCES) + rng.normal(
        0, 0.35, SYSTEMS * UTTERANCES
    )
    votes = np.clip(np.rint(quality[:, None] + rng.normal(0, 0.8, (len(quality), VOTES))), 1, 5)
    predictors = {
        "sharp": quality + rng.normal(0, 0.30, len(quality)),
        "biased": quality + rng.normal(0, 0.30, len(quality)) + 0.4,
        "blunt": 3 + 0.6 * (quality - 3) + rng.normal(0, 0.45, len(quality)),
    }
    ids = [(f"system{k // UTTERANCES:02d}", f"utt{k:03d}") for k in range(len(quality))]
    OUT.mkdir(exist_ok=True)
    write(
        OUT / "ref.jsonl",
        [
            {
                "sample_id": utt,
                "system_id": system,
                "metrics": {"mos": float(v.mean())},
                "votes": VOTES,
                "mos_std": round(float(v.std(ddof=1)), 4),
            }
            for (system, utt), v in zip(ids, votes, strict=True)
        ],
    )
    rows = [
        f"{utt},{system},listener{k},{vote:.0f}\n"
        for (system, utt), v in zip(ids, votes, strict=True)
        for k, vote in enumerate(v)
    ]
    (OUT / "ratings.csv").write_text(
        "sample_id,system_id,listener_id,score\n" + "".join(rows), encoding="utf-8"
    )
    (OUT / "pairs.csv").write_text(pairs(rng, quality, [utt for _, utt in ids]), encoding="utf-8")
    for name, scores in predictors.items():
        write(
            OUT / f"{name}.jsonl",
            [
                {"sample_id": utt, "system_id": system, "metrics": {"mos": round(float(s), 3)}}
                for (system, utt), s in zip(ids, np.clip(scores, 1, 5), strict=True)
            ],
        )


def pairs(rng: np.random.Generator, quality: np.ndarray, ids: list[str]) -> str:
    """Each utterance against one of the next three systems, the pairs of a system in turn."""
    rows = ["a,b,cmos,votes,cmos_std\n"]
    for a in range(len(quality)):
        b = (a + UTTERANCES * (1 + a % 3)) % len(quality)
        votes = np.clip(np.rint(quality[a] - quality[b] + rng.normal(0, 0.8, VOTES)), -3, 3)
        rows.append(f"{ids[a]},{ids[b]},{votes.mean()},{VOTES},{votes.std(ddof=1):.4f}\n")
    return "".join(rows)


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
