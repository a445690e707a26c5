"""How the figures are computed, three ways: `plain` Python (the definition), NumPy (`arrays`), compiled (`rank`).

`choose` takes the one that repays its import. Rank statistics are the same to the last bit, sums to some 1e-15.
"""
