"""The network: encoders of speech, attention, heads."""
