"""Read and write models without executing anything that a file holds."""
