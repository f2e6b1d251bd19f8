"""The methods on the generator: measured against DAAM, their defaults chosen on `dev`, shown in a figure."""
