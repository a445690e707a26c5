"""VoiceMOS Challenge 2026, track 1, development set: clips of URGENT 2026 without their labels."""

from sqa_data.corpora._urgent import vmc2026_track1

CORPUS = vmc2026_track1("dev", clips=1_008, pairs=2_520, use="development")
