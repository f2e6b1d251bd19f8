"""Loading and building the splits."""
