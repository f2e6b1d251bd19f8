"""Datasets: located, loaded, checked, written and built."""
