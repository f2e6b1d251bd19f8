"""Checking the emoji masks by eye: regions to choose from, sheets to look at, decisions to record."""
