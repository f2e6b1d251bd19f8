"""DAAM: word heat maps from the cross-attention of a diffusers pipeline."""
