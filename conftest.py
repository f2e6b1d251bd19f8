"""What pytest leaves alone where MMDetection is missing: the modules that can't be imported without it."""

from importlib.util import find_spec

_NEED_MMDET = ["daam_bench/segmenters/mmdet/detector.py", "tests/segmenters/tiny_detectors.py"]

collect_ignore = [] if find_spec("mmdet") else _NEED_MMDET
