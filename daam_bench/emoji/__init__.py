"""The emoji world: procedural scenes, captions, and the tiny diffusion model trained on them."""
