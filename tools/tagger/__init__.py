"""Training and evaluation of the shipped spaCy pipeline."""
