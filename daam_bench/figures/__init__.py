"""Every plot, sheet and page that shows scores, images or heat maps: one style, colour-blind safe.

`style` has sizes, colours and `save` (PNG, SVG or PDF, the same bytes for the same figure); `panels` images
with heat maps and outlines, and contact sheets; `grids` panels in rows; `charts` and `score_charts` values
with intervals; `page_parts` what pages and notebooks are made of.
"""
