"""The shipped emoji world: its nouns, its generator and its annotator."""

from pathlib import Path

PIPELINE = Path(__file__).parent / "pipeline"
"""The shipped `StableDiffusionPipeline`."""

ANNOTATOR = Path(__file__).parent / "segformer"
"""The shipped annotator, a SegFormer that names what an image of this world shows."""

SIBLINGS = ("emoji-seed2", "emoji-sd3")
"""Other generators of this world, and the datasets of the same prompts that they made."""

STEPS = 50
"""Inference steps of the shipped dataset, as in the paper (section 3.1)."""

GUIDANCE_SCALE = 3.0
"""Guidance scale of the shipped dataset. With 3 its images are best; 7.5, the paper's, breaks
objects up."""
