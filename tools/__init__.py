"""What makers of the shipped world need and users do not: run from a checkout, not in the wheel."""
