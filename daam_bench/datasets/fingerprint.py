"""One short name for everything that a score depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from daam_bench.types import Example


def fingerprint(examples: Sequence[Example], encoded_images: Sequence[bytes]) -> str:
    """Return the hex SHA-256 over ids, prompts, images, nouns and masks, in order.

    Tokens, sources, annotators and generation settings may be corrected without changing it: no score
    depends on them.

    Args:
        examples: The examples of a split.
        encoded_images: The bytes of each example's image as stored (so no image need be decoded).
    """
    digest = hashlib.sha256()
    for example, image in zip(examples, encoded_images, strict=True):
        query = example.query
        nouns = [
            [noun.text, noun.lemma, noun.start, noun.end, noun.coco_class, mask and [*mask.size, mask.counts]]
            for noun, mask in zip(query.nouns, example.masks, strict=True)
        ]
        record = [query.id, query.prompt, hashlib.sha256(image).hexdigest(), nouns]
        digest.update(json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode("ascii"))
        digest.update(b"\n")
    return digest.hexdigest()
