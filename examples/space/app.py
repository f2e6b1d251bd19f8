"""A Space of the Hugging Face hub: the demo of daam-bench with the shipped model, or one of yours."""

import os

from daam_bench.analysis.demo_page import build_page
from daam_bench.analysis.looking import Looker

demo = build_page(Looker(os.environ.get("MODEL", "emoji")))

if __name__ == "__main__":
    demo.launch()
