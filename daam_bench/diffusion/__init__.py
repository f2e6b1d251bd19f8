"""Loading pipelines, generating and reproducing images from seeds, noising given images, measuring drift."""
