"""`python -m daam_bench` is `daam-bench`."""

import sys

from daam_bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
