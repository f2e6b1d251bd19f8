"""Experiment folders of castorini/daam become examples, or a line that says what is wrong."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daam_bench.annotate import castorini_folders
from daam_bench.annotate.castorini_folders import (
    UnstatedSettings,
    alpha_mask,
    find_words,
    import_daam_folders,
    read_png,
)
from daam_bench.datasets.load import load_split
from daam_bench.datasets.write import write_dataset
from daam_bench.prompts.swap import NounCaption
from daam_bench.types import Annotation, Generation, Noun, Token
from daam_bench.types.errors import InputError
from daam_bench.types.masks import decode
from tests.annotate.experiments import (
    HEIGHT,
    WIDTH,
    experiment,
    experiments,
    huge_png,
    left_half,
    mask_png,
    png,
    write_folder,
)

BY = Annotation("someone", "by hand", "2026-01-31")
SETTINGS = UnstatedSettings(
    Generation,
    model="some/model",
    revision=None,
    scheduler="PNDMScheduler",
    steps=30,
    guidance_scale=7.5,
    dtype="float16",
)


def imported(root: Path, files: dict[str, bytes], settings: UnstatedSettings | None = None):
    return import_daam_folders(write_folder(root, files), BY, settings)


def of_one(root: Path, **changed: bytes | None):
    """Import one experiment whose files are changed (name with "_" for "."), or left out if None."""
    files = experiment() | {name.replace("__", "."): content for name, content in changed.items()}
    return imported(root, {f"452/{name}": content for name, content in files.items() if content is not None})


def test_a_folder_becomes_examples(tmp_path):
    found = imported(tmp_path, experiments(2))
    assert (found.bad, found.unmarked) == ((), 0)
    assert [example.query.id for example in found.examples] == ["0", "1"]
    example = found.examples[1]
    assert example.query.prompt == "a cat and two dogs"
    assert example.query.seed == 1
    assert example.query.generation is None
    assert example.query.image.size == (WIDTH, HEIGHT)
    assert [(noun.text, noun.lemma, noun.coco_class) for noun in example.query.nouns] == [
        ("cat", "cat", "cat"),
        ("dogs", "dog", "dog"),
    ]
    assert (decode(example.masks[0]) == left_half()).all()
    by_hand = Annotation(BY.by, BY.how, BY.date, ("own",) * len(example.masks))
    assert example.annotation == by_hand


def test_experiments_are_sorted_by_number(tmp_path):
    found = imported(tmp_path, experiments(12))
    assert [example.query.id for example in found.examples] == [str(number) for number in range(12)]


def test_the_result_is_a_dataset(tmp_path):
    found = imported(tmp_path / "truth", experiments(2), SETTINGS)
    write_dataset(tmp_path / "data", {"coco_gen": found.examples}, "")
    split = load_split(tmp_path / "data", "coco_gen")
    assert (len(split), split.model) == (2, "some/model")
    assert split[0].query.generation.height == HEIGHT


def test_an_experiment_at_the_top_is_named_after_its_folder(tmp_path):
    assert imported(tmp_path / "birds", experiment()).examples[0].query.id == "birds"


def test_experiments_at_different_depths_are_named_by_their_paths(tmp_path):
    files = {f"{place}/{name}": content for place in ("a/1", "b/1") for name, content in experiment().items()}
    assert [example.query.id for example in imported(tmp_path, files).examples] == ["a-1", "b-1"]


def test_the_mask_is_where_alpha_is_above_zero(tmp_path):
    found = of_one(tmp_path, cat__gt__png=png("RGBA", colour=(200, 200, 200, 1)), dogs__gt__png=png("RGBA"))
    assert decode(found.examples[0].masks[0]).all()
    assert found.examples[0].masks[1] is None


def test_masks_of_one_word_are_united(tmp_path):
    other = of_one(tmp_path, CAT__gt__png=mask_png(~left_half()))
    assert decode(other.examples[0].masks[0]).all()


def test_the_pickle_is_never_opened(tmp_path, monkeypatch):
    write_folder(tmp_path, experiments(1))
    opened = []
    original = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *args: opened.append(self.name) or original(self, *args))
    import_daam_folders(tmp_path, BY)
    assert set(opened) == {"prompt.txt", "seed.txt", "output.png", "cat.gt.png", "dogs.gt.png"}


def test_the_image_may_lie_one_folder_below(tmp_path):
    files = experiment()
    files["sd-1.4/output.png"] = files.pop("output.png")
    assert len(imported(tmp_path, {f"1/{name}": content for name, content in files.items()}).examples) == 1


def test_experiments_without_masks_are_counted(tmp_path):
    files = experiments(1) | {f"output/9/{name}": text for name, text in experiment(words=()).items()}
    found = imported(tmp_path, files)
    assert (len(found.examples), found.unmarked, found.bad) == (1, 1, ())


@pytest.mark.parametrize(
    ("changed", "kept", "line"),
    [
        ({"moon__gt__png": mask_png(left_half())}, 2, "'452', noun 'moon': it is no word of the prompt"),
        ({"cat__gt__png": png("RGB")}, 1, "'452', noun 'cat': it has no alpha channel"),
        ({"cat__gt__png": png("RGBA", (4, 4))}, 1, "its mask is 4x4 but the image 8x12 (height x width)"),
        ({"cat__gt__png": b"hello"}, 1, "'452', noun 'cat': it is no whole PNG"),
        ({"seed__txt": b"seven"}, 2, "'452', seed.txt: 'seven' is no seed; imported without one"),
        ({"prompt__txt": b"\xff"}, None, "'452': prompt.txt is not UTF-8"),
        ({"prompt__txt": b" "}, None, "'452': prompt.txt is empty"),
        ({"output__png": None}, None, "'452': output.png: there is no such file"),
        ({"output__png": png(colour=(0, 0, 0))}, None, "as a safety checker leaves it"),
    ],
)
def test_what_is_wrong_is_named_and_the_rest_kept(tmp_path, changed, kept, line):
    found = of_one(tmp_path, **changed)
    assert len(found.bad) == 1
    assert line in found.bad[0]
    assert [len(example.query.nouns) for example in found.examples] == ([] if kept is None else [kept])


@pytest.mark.parametrize("seed", ["None", ""])
def test_a_seed_that_was_not_kept(tmp_path, seed):
    found = of_one(tmp_path, seed__txt=None if seed == "" else seed.encode())
    assert (found.examples[0].query.seed, found.bad) == (None, ())


def test_lemmas_classes_and_tokens_come_from_whoever_parses(tmp_path):
    def parse(prompt):
        return NounCaption(
            prompt, (Noun("dogs", "hound", 14, 18, None),), (True,), (Token("a", "DET", 0, 1),)
        )

    found = import_daam_folders(write_folder(tmp_path, experiments(1)), BY, parse=parse).examples[0]
    assert [(noun.text, noun.lemma, noun.coco_class) for noun in found.query.nouns] == [
        ("cat", "cat", None),
        ("dogs", "hound", None),
    ]
    assert found.tokens == (Token("a", "DET", 0, 1),)


def test_without_a_seed_the_settings_are_of_no_use(tmp_path):
    files = {f"1/{name}": content for name, content in experiment(seed="None").items()}
    assert imported(tmp_path, files, SETTINGS).examples[0].query.generation is None


def test_a_place_without_experiments(tmp_path):
    with pytest.raises(InputError, match=r"no experiment in .*: looked for folders with a prompt.txt"):
        import_daam_folders(tmp_path, BY)
    (tmp_path / "archive.tar.gz").write_bytes(b"")
    for place in ("nowhere", "archive.tar.gz"):
        with pytest.raises(InputError, match=r"no such folder: .*unpack an archive first"):
            import_daam_folders(tmp_path / place, BY)


def error_of_png(path) -> str:
    with pytest.raises(InputError) as caught:
        read_png(path)
    return str(caught.value)


@pytest.mark.parametrize("size", [(9_000, 9_000), (100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_an_image_that_promises_too_many_pixels_is_not_decoded(tmp_path, size, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    (tmp_path / "a.png").write_bytes(huge_png(*size))
    assert "pixels" in error_of_png(tmp_path / "a.png")


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(castorini_folders, "MAX_FILE_BYTES", 50)
    (tmp_path / "a.png").write_bytes(png())
    assert error_of_png(tmp_path / "a.png") == "it has more than 50 bytes"


@pytest.mark.parametrize("content", [b"", b"GIF89a", png()[:-30], png()[:30], huge_png(8, 0)])
def test_what_is_no_whole_png(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert error_of_png(tmp_path / "a.png") == "it is no whole PNG"


def test_what_is_no_file(tmp_path):
    assert error_of_png(tmp_path) == "there is no such file"


def test_the_alpha_of_every_kind_of_png_that_has_one():
    transparent = Image.new("RGBA", (WIDTH, HEIGHT))
    transparent.putpixel((3, 2), (0, 0, 0, 1))
    palette = Image.new("P", (WIDTH, HEIGHT))
    palette.info["transparency"] = 0
    palette.putpixel((3, 2), 1)
    grey = Image.new("LA", (WIDTH, HEIGHT))
    grey.putpixel((3, 2), (0, 255))
    for image in (transparent, palette, grey):
        assert np.argwhere(alpha_mask(image)).tolist() == [[2, 3]]
    with pytest.raises(InputError, match="has no alpha channel"):
        alpha_mask(Image.new("RGB", (2, 2)))


def test_a_word_stands_where_no_longer_one_does():
    assert find_words("Hot dog, dog", ["dog", "hot dog"]) == {"hot dog": (0, 7), "dog": (9, 12)}
    assert find_words("hotdog c++ C++", ["dog", "c++", ""]) == {"c++": (7, 10)}
