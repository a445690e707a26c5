"""VoiceMOS Challenge 2026, track 1, test set: clips of URGENT 2026 without their labels."""

from sqa_data.corpora._urgent import vmc2026_track1

CORPUS = vmc2026_track1("test", clips=4_032, pairs=10_080, use="evaluation")
