"""What the cards of all datasets have in common: the YAML head and how to cite."""

from __future__ import annotations

HOW_TO_CITE = """## How to cite

```bibtex
@inproceedings{tang2023daam,
  title = {What the {DAAM}: Interpreting Stable Diffusion Using Cross Attention},
  author = {Tang, Raphael and Liu, Linqing and Pandey, Akshat and Jiang, Zhiying and Yang, Gefei and
            Kumar, Karun and Stenetorp, Pontus and Lin, Jimmy and Ture, Ferhan},
  booktitle = {Proceedings of the 61st Annual Meeting of the Association for Computational Linguistics
               (Volume 1: Long Papers)},
  year = {2023},
  doi = {10.18653/v1/2023.acl-long.310},
}
```
"""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
_LARGER = "100K<n<1M"


def card_head(licence: str, examples: int | None = None) -> str:
    """Return the YAML head of a card.

    Args:
        licence: Licence as the hub writes it ("cc-by-4.0", "other").
        examples: Number of examples in all splits together; None if it is not known yet.
    """
    sizes = ""
    if examples is not None:
        label = next((label for bound, label in _SIZES if examples < bound), _LARGER)
        sizes = f"size_categories:\n- {label}\n"
    return f"""---
license: {licence}
language:
- en
task_categories:
- image-segmentation
- text-to-image
tags:
- attribution
- daam
- daam-bench
{sizes}---
"""
