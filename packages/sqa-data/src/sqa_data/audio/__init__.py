"""The one front door for audio: nobody else opens a sound file.

`look` says length, rate and channels; `hear` gives the samples, or a part of them; `digest` hashes them, whatever
their packing; `signal_facts` says what may mislead whoever uses them, `silence` why there is nothing to score; `mixed`
is the one rule for mixing channels.
All raise `AudioError`, and for nothing but the source that they were given.
"""

from sqa_data.audio.facts import Fact, mixed, signal_facts, silence
from sqa_data.audio.reading import LOUDEST, RATES, AudioInfo, Heard, digest, hear, look
from sqa_data.audio.source import Source
from sqa_data.errors import AudioError

__all__ = [
    "LOUDEST",
    "RATES",
    "AudioError",
    "AudioInfo",
    "Fact",
    "Heard",
    "Source",
    "digest",
    "hear",
    "look",
    "mixed",
    "signal_facts",
    "silence",
]
