"""COCO's 80 object classes, in COCO's order with its category ids (annotations of COCO 2014 and 2017)."""

from __future__ import annotations

_NAMES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite,
baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork,
knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake,
chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard,
cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush
"""

CLASSES: tuple[str, ...] = tuple(_NAMES.strip().replace("\n", " ").split(", "))
"""The 80 class names in COCO's order."""

_UNUSED_IDS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})

CATEGORY_IDS: dict[str, int] = dict(
    zip(CLASSES, (number for number in range(1, 91) if number not in _UNUSED_IDS), strict=True)
)
"""Class name -> COCO category id, 1 to 90 with ten gaps."""
