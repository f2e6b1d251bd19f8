"""Every plot, sheet and page that shows scores, images or heat maps: one style, colour-blind safe.

`style` has sizes, colours and `save` (PNG, SVG or PDF, the same bytes for the same figure); `panels` images
with heat maps and outlines; `charts` and `score_charts` values with intervals; `sheet` what contact sheets
stand on; `page_parts` and `inline_svg` what pages are made of.
"""
