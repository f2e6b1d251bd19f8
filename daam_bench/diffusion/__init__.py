"""Loading pipelines and generating images from seeds."""
