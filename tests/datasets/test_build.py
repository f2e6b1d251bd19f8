import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import datasets
import numpy as np
import pytest

from daam_bench.datasets.build import build_dataset
from daam_bench.datasets.image_worker import ATTEMPTS
from daam_bench.datasets.load import load_split
from daam_bench.diffusion.generate import generate
from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.types.errors import InputError
from tests.datasets.words import CAPTIONS, build, settings
from tests.tiny_pipelines import likeness, tiny_sd, tiny_sdxl

ROOT = Path(__file__).resolve().parents[2]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def built(tiny_model, tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("built") / "mine", settings(tiny_model))


def test_both_splits_hold_what_the_seeds_generate(built, tiny_model):
    pipeline = load_pipeline(str(tiny_model), device="cpu")
    for name in ("coco_gen", "unreal_gen"):
        split = load_split(built, name)
        assert [example.query.seed for example in split] == [0, 1, 2, 3, 4]
        for example in split:
            query = example.query
            assert query.generation.model == str(tiny_model)
            assert (query.generation.steps, query.generation.scheduler) == (2, "DDIMScheduler")
            assert (query.image.height, query.image.width) == (16, 16)
            assert example.annotation is None
            assert example.masks == (None,) * len(query.nouns)
            assert len(query.nouns) >= 1
            (alone,) = generate(pipeline, [query.prompt], [query.seed], query.generation)
            difference = np.asarray(alone.image, int) - np.asarray(query.image, int)
            assert np.abs(difference).max() <= 1


def test_it_loads_with_datasets_alone(built):
    table = datasets.load_dataset(str(built), split="unreal_gen")
    assert table.num_rows == 5
    assert table[0]["nouns"][0]["mask"] is None
    assert table[0]["annotation"] is None
    assert table[0]["image"].size == (16, 16)


def test_the_card_says_how_it_was_made(built):
    card = (built / "README.md").read_text()
    assert "# mine\n" in card
    assert "5 of the 11 of `captions.txt`, picked with seed\n  0" in card
    assert "2 steps of DDIMScheduler, guidance scale 7.5, 16 x 16 pixels" in card
    assert "- **Versions.** daam-bench 0.\n" in card
    assert "5 images not annotated." in card
    assert "license: other\n" in card


def test_nothing_is_left_beside_it(built):
    assert [path.name for path in built.parent.iterdir()] == ["mine"]


def test_the_same_settings_build_the_same_dataset(built, tiny_model, tmp_path):
    assert contents(build(tmp_path / "mine", settings(tiny_model))) == contents(built)


def test_size_scheduler_and_dtype(tiny_model, tmp_path):
    chosen = settings(
        tiny_model, size=2, height=24, width=32, scheduler="EulerDiscreteScheduler", dtype="bfloat16"
    )
    query = load_split(build(tmp_path / "mine", chosen), "coco_gen")[0].query
    assert query.image.size == (32, 24)
    assert (query.generation.height, query.generation.width) == (24, 32)
    assert (query.generation.scheduler, query.generation.dtype) == ("EulerDiscreteScheduler", "bfloat16")


def test_sdxl(tmp_path):
    tiny_sdxl().save_pretrained(tmp_path / "model")
    folder = build(tmp_path / "mine", settings(tmp_path / "model", size=3))
    assert len(load_split(folder, "unreal_gen")) == 3


KILLED = """
import sys
from pathlib import Path
from tests.datasets.words import build, settings
build(Path(sys.argv[1]), settings(Path(sys.argv[2]), steps=12, batch_size=1))
"""


def test_a_killed_run_resumes_without_generating_anything_again(tiny_model, tmp_path):
    chosen = settings(tiny_model, steps=12, batch_size=1)
    whole = build(tmp_path / "whole" / "mine", chosen)
    folder, partial = tmp_path / "mine", tmp_path / "mine.partial"
    run = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), str(tiny_model)], cwd=ROOT)
    deadline = time.monotonic() + 300
    while len(list(partial.glob("*.png"))) < 2 and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    generated = {path: path.stat().st_mtime_ns for path in partial.glob("*.png")}
    assert 2 <= len(generated) < 10
    assert not folder.exists()

    kept = {}
    build_dataset(folder, chosen, _never, progress=False, say=lambda plan: kept.update(generated))
    assert kept == generated
    assert contents(folder) == contents(whole)
    assert not partial.exists()


def _never(captions):
    raise AssertionError("the plan is there already")


@pytest.mark.parametrize("batch_size", [1, 3])
def test_what_is_there_stays_and_what_is_torn_is_generated_again(
    tiny_model, tmp_path, batch_size, monkeypatch
):
    chosen = settings(tiny_model, batch_size=batch_size)
    whole = build(tmp_path / "whole" / "mine", chosen)
    folder, partial = tmp_path / "mine", tmp_path / "mine.partial"
    interrupt(monkeypatch, folder, chosen)
    torn, lost = partial / "coco_gen-001.png", partial / "unreal_gen-004.png"
    torn.write_bytes(torn.read_bytes()[:-40])
    lost.unlink()
    before = {path: path.stat().st_mtime_ns for path in partial.glob("*.png") if path != torn}
    interrupt(monkeypatch, folder, chosen)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert contents(build(folder, chosen)) == contents(whole)


def interrupt(monkeypatch, folder, chosen):
    """Interrupt a build when everything is generated."""

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("daam_bench.datasets.build.write_dataset", stop)
        with pytest.raises(KeyboardInterrupt):
            build(folder, chosen)


def test_resuming_with_other_settings_is_refused(tiny_model, tmp_path, monkeypatch):
    interrupt(monkeypatch, tmp_path / "mine", settings(tiny_model))
    with pytest.raises(InputError, match=r"started with steps 2 \(now 3\); .*--restart"):
        build(tmp_path / "mine", settings(tiny_model, steps=3))
    with pytest.raises(InputError, match=r"started with captions_sha256 "):
        build(tmp_path / "mine", settings(tiny_model, captions=CAPTIONS[::-1]))
    folder = build(tmp_path / "mine", settings(tiny_model, steps=3), restart=True)
    assert load_split(folder, "coco_gen")[0].query.generation.steps == 3


def test_a_dataset_that_is_there_is_never_replaced(built, tiny_model):
    before = contents(built)
    for restart in (False, True):
        with pytest.raises(InputError, match="is there already; name another folder, or remove it first"):
            build(built, settings(tiny_model), restart=restart)
    assert contents(built) == before


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"size": 0}, "--size must be at least 1"),
        ({"batch_size": 0}, "--batch-size must be at least 1"),
        ({"size": 9}, "only 7 of 11 captions can be used"),
        ({"height": 17}, "can't generate with these settings"),
        ({"scheduler": "Euler"}, "diffusers has no scheduler 'Euler'"),
        ({"dtype": "int8"}, "unknown dtype"),
    ],
)
def test_what_can_not_be_built(tiny_model, tmp_path, changes, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        build(tmp_path / "mine", settings(tiny_model, **changes))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "mine").exists()


def test_a_blanked_image_is_generated_again_from_the_next_seed(built, tmp_path):
    """A real safety checker, its threshold such that it blanks the two images of `built` it likes best."""
    examples = [example for name in ("coco_gen", "unreal_gen") for example in load_split(built, name)]
    by_likeness = sorted(examples, key=lambda example: likeness(example.query.image))
    blanked = {example.query.id for example in by_likeness[-2:]}
    threshold = np.mean([likeness(example.query.image) for example in by_likeness[-3:-1]])
    tiny_sd(threshold=float(threshold)).save_pretrained(tmp_path / "model")
    folder = build(tmp_path / "mine", settings(tmp_path / "model"))
    again = [example for name in ("coco_gen", "unreal_gen") for example in load_split(folder, name)]
    for before, after in zip(examples, again, strict=True):
        if after.query.id in blanked:
            assert after.query.seed > 4
            assert after.query.seed % 5 == before.query.seed
            assert after.query.image.convert("L").getextrema() != (0, 0)
            assert f"{after.query.id} (seed {after.query.seed})" in (folder / "README.md").read_text()
        else:
            assert after.query.seed == before.query.seed
            assert np.array_equal(after.query.image, before.query.image)


def test_a_prompt_that_is_always_blanked_is_given_up(tmp_path):
    tiny_sd(threshold=-1.0).save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match=f"blanked the image of coco_gen-000 .* {ATTEMPTS} times"):
        build(tmp_path / "mine", settings(tmp_path / "model"))


def test_a_black_image_that_nothing_blanked_is_an_overflow(tmp_path):
    pipeline = tiny_sd()
    pipeline.vae.decoder.conv_out.weight.data.fill_(float("nan"))
    pipeline.save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match=r"came out black .* another --dtype"):
        build(tmp_path / "mine", settings(tmp_path / "model"))
