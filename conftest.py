"""What pytest leaves alone where MMDetection is missing: the modules that can't be imported without it."""

from importlib.util import find_spec

_NEED_MMDET = [f"daam_bench/segmenters/mmdet/{name}.py" for name in ("detector", "detector_config")]

collect_ignore = [] if find_spec("mmdet") else _NEED_MMDET
