from PIL import Image

from daam_bench.leaderboard.site.examples import prompt_pieces
from daam_bench.types import Noun, Query


def test_a_prompt_is_cut_at_its_nouns_by_characters_not_bytes():
    prompt = "🐟🐟 a cat, a dog"
    nouns = (Noun("dog", "dog", 12, 15, "dog"), Noun("cat", "cat", 5, 8, "cat"))
    query = Query("0", prompt, Image.new("RGB", (1, 1)), nouns, None, None)

    assert [tuple(piece) for piece in prompt_pieces(query)] == [
        ("🐟🐟 a ", None),
        ("cat", 1),
        (", a ", None),
        ("dog", 0),
    ]
