"""What lies on disk: JSON lines, predictions, heat maps, and how files are replaced."""
