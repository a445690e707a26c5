"""Degraded speech by seeded chains of steps, from clean speech and noise."""
