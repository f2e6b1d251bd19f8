"""The emoji world: procedural scenes, captions, and the tiny diffusion model trained on them."""

from pathlib import Path

PIPELINE = Path(__file__).parent / "pipeline"
"""The shipped `StableDiffusionPipeline`."""

JUDGE = Path(__file__).parent / "segformer"
"""The shipped judge, a SegFormer that names what a picture of this world shows."""

GUIDANCE_SCALE = 7.5
STEPS = 50
"""How the shipped dataset is drawn: the paper's settings (section 3.1)."""
