"""Score speech."""
