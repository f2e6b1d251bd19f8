"""How to cite what a dataset serves: a section for its card."""

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
