"""The emoji world: its nouns, its generators and its annotator."""

from pathlib import Path

PIPELINE = Path(__file__).parent / "pipeline"
"""The shipped `StableDiffusionPipeline`."""

ANNOTATOR = Path(__file__).parent / "segformer"
"""The shipped annotator, a SegFormer that names what an image of this world shows."""

SIBLINGS = ("emoji-sd3", "emoji-seed2")
"""Names of the emoji world's other generators, and of the datasets of the same prompts that they made."""

STEPS = 50
"""Inference steps of the shipped dataset, as in the paper (section 3.1)."""

GUIDANCE_SCALE = 3.0
"""Guidance scale of the shipped dataset. With 3 its images are best; 7.5, the paper's, breaks
objects up."""

_PLACES = (Path(__file__).parent, Path(__file__).parents[2] / "tools" / "emoji" / "weights")
"""Where siblings' pipelines lie, each in a folder of its name: in the package, or in a checkout."""


def generator_folder(name: str) -> Path | None:
    """Return the folder of a generator of the emoji world; None for a name that is none of theirs.

    A sibling that is in neither place is looked for in the last one.
    """
    if name == "emoji":
        return PIPELINE
    if name not in SIBLINGS:
        return None
    places = [place / name for place in _PLACES]
    return next((place for place in places if (place / "model_index.json").is_file()), places[-1])
