"""Language: captions, their nouns, and the noun swap."""
