"""Loading pipelines, generating images from seeds, noising given images, measuring drift."""
