"""Figures fit for a paper: one style, colour-blind safe, as PNG, SVG or PDF."""

from daam_bench.figures.bars import Bar, bars
from daam_bench.figures.curves import miou_over_tau
from daam_bench.figures.dots import draw_dots, draw_shares
from daam_bench.figures.panels import Panel, chart_with_panels, overlay_grid, panel_grid
from daam_bench.figures.style import COLUMN, PAGE, PALETTE, new_figure, save, styled

__all__ = [
    "COLUMN",
    "PAGE",
    "PALETTE",
    "Bar",
    "Panel",
    "bars",
    "chart_with_panels",
    "draw_dots",
    "draw_shares",
    "miou_over_tau",
    "new_figure",
    "overlay_grid",
    "panel_grid",
    "save",
    "styled",
]
