"""Detectors of MMDetection as methods: the paper's supervised baselines, and any other."""
