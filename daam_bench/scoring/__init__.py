"""Scores, intervals and reports from a predictions file and a split."""
