"""`sqa-cli data`: corpora from their source to verified manifests, and manifests cut to measure."""
