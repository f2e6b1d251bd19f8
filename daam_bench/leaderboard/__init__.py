"""Submissions from outside: checked, scored from their masks, and kept as the leaderboard's entries."""
