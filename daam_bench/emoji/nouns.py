"""The nouns of the emoji world: glyph, plural, COCO class and usual backgrounds."""

from __future__ import annotations

from dataclasses import dataclass

BACKGROUNDS = ("grass", "sea", "snow", "sand", "road", "sky", "room")
"""Names of the backgrounds: mass or place nouns, never annotated."""


@dataclass(frozen=True, slots=True)
class EmojiNoun:
    """A countable noun of the world.

    Attributes:
        name: Singular form, also its lemma.
        plural: Plural form.
        glyph: Its character in Noto Color Emoji.
        usual: Backgrounds it is usually seen on.
        coco_class: Its COCO-80 class, or None.
    """

    name: str
    plural: str
    glyph: str
    usual: tuple[str, ...]
    coco_class: str | None


def _table(rows: str, *, coco: bool) -> list[EmojiNoun]:
    nouns = []
    for row in rows.strip().splitlines():
        glyph, name, plural, usual = (cell.strip() for cell in row.split("|"))
        nouns.append(EmojiNoun(name, plural, glyph, tuple(usual.split()), name if coco else None))
    return nouns


_COCO_NOUNS = _table(
    """
    🧍 | person   | people    | grass sand road room
    🚗 | car      | cars      | road
    🚌 | bus      | buses     | road
    🚆 | train    | trains    | road sand
    ⛵ | boat     | boats     | sea
    🐦 | bird     | birds     | sky grass
    🐈 | cat      | cats      | grass room
    🐕 | dog      | dogs      | grass sand room
    🐑 | sheep    | sheep     | grass
    🐄 | cow      | cows      | grass
    🐘 | elephant | elephants | sand grass
    🐻 | bear     | bears     | snow grass
    🦓 | zebra    | zebras    | sand grass
    ☂ | umbrella | umbrellas | sand road
    🍌 | banana   | bananas   | room
    🍎 | apple    | apples    | room grass
    🍊 | orange   | oranges   | room
    🍕 | pizza    | pizzas    | room
    🍩 | donut    | donuts    | room
    🎂 | cake     | cakes     | room
    🪑 | chair    | chairs    | room
    🛏 | bed      | beds      | room
    💻 | laptop   | laptops   | room
    📕 | book     | books     | room
    🕐 | clock    | clocks    | room
    """,
    coco=True,
)

_OTHER_NOUNS = _table(
    """
    🚀 | rocket   | rockets   | sky
    🌙 | moon     | moons     | sky
    🌞 | sun      | suns      | sky
    🌳 | tree     | trees     | grass snow
    🌵 | cactus   | cactuses  | sand
    🍄 | mushroom | mushrooms | grass
    👑 | crown    | crowns    | room sand
    🏠 | house    | houses    | grass snow road
    🐟 | fish     | fish      | sea
    🐙 | octopus  | octopuses | sea
    ⛄ | snowman  | snowmen   | snow
    🎈 | balloon  | balloons  | sky
    """,
    coco=False,
)

NOUNS: dict[str, EmojiNoun] = {noun.name: noun for noun in _COCO_NOUNS + _OTHER_NOUNS}
"""All nouns by name, in a fixed order (class indices of the annotator follow it)."""
