"""The supervised baselines of the emoji world: small MMDetection models, trained on composited scenes."""

NAMES = ("mask_rcnn", "queryinst", "mask2former")
"""The three detectors of the paper (section 3.1)."""
