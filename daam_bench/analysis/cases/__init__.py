"""The case studies: numerals, adjectives, and nouns that are repeated or change places.

A case study is a module of this package with a `CASE`, and its name in `CASES`.
"""

CASES = ("numeracy", "adjectives", "repeated", "swapped")
"""The case studies in the order in which they run."""
