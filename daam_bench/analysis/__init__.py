"""The analyses of the paper (sections 3.2 and 3.3) on any dataset or model."""
