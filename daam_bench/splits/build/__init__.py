"""Building a dataset: from captions and a diffusers pipeline to two splits of pictures without masks."""
