import shutil

import huggingface_hub
import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from daam_bench import trace
from daam_bench.cli import main
from daam_bench.diffusion import pipelines
from daam_bench.diffusion.defaults import takes_whole, usual_generation
from daam_bench.diffusion.generate import generate, mean_difference
from daam_bench.diffusion.pipelines import OFFLOADS, load_pipeline
from daam_bench.diffusion.weights import commit_of
from daam_bench.types.errors import InputError
from tests.tiny_diffusion_transformers import flux, sd3
from tests.tiny_pipelines import tiny_sd, tiny_sdxl

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cached(tiny_model, tmp_path, monkeypatch) -> str:
    """A hub id whose newest revision lies in the hub's cache, the hub out of reach."""
    repo = tmp_path / "models--someone--tiny"
    shutil.copytree(tiny_model, repo / "snapshots" / COMMIT)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return "someone/tiny"


def test_the_commit_of_a_pipeline_from_the_hub(cached):
    load_pipeline(cached, device="cpu")
    assert commit_of(cached) == COMMIT
    assert commit_of(cached, "main") == COMMIT
    assert commit_of(cached, COMMIT) == COMMIT


def test_a_folder_and_the_shipped_pipeline_have_no_commit(tiny_model):
    assert commit_of(str(tiny_model)) is None
    assert commit_of("emoji") is None


@pytest.mark.parametrize("pipeline", [tiny_sd, tiny_sdxl])
def test_a_prompt_fits_up_to_the_tokenizers_limit(pipeline):
    built = pipeline()
    assert takes_whole(built, " ".join(["cat"] * 14))
    assert not takes_whole(built, " ".join(["cat"] * 15))


def test_a_safety_checker_is_kept_on_request_only(tmp_path):
    tiny_sd(threshold=1.0).save_pretrained(tmp_path)
    assert load_pipeline(str(tmp_path), device="cpu").safety_checker is None
    assert load_pipeline(str(tmp_path), device="cpu", safety_checker=True).safety_checker is not None


def test_a_call_may_feed_less_than_the_tokenizer_takes():
    built = tiny_sd()
    assert takes_whole(built, "cat cat", limit=4)
    assert not takes_whole(built, "cat cat cat", limit=4)


@pytest.mark.parametrize("build", [tiny_sd, sd3, flux])
def test_an_offloaded_pipeline_generates_and_is_traced_the_same(build, tmp_path):
    build().save_pretrained(tmp_path)
    found = {}
    for offload in (None, "model", "group"):
        pipeline = load_pipeline(str(tmp_path), device="cpu", offload=offload)
        generation = usual_generation(pipeline, "tiny", steps=2, height=32, width=32)
        with trace(pipeline) as tracer:
            (generated,) = generate(pipeline, ["a cat"], [1], generation)
        found[offload] = generated.image, tracer.heat_maps()[0]["cat"].values
        assert bool(getattr(pipeline, "_all_hooks", [])) == (offload == "model")
    for image, heat_map in found.values():
        assert mean_difference(image, found[None][0]) == 0
        np.testing.assert_allclose(heat_map, found[None][1], atol=1e-6 * found[None][1].max())


def test_each_kind_of_offload_is_diffusers_own(tiny_model, monkeypatch):
    called = {}
    for name in ("model_cpu", "sequential_cpu", "group"):
        method = f"enable_{name}_offload"
        monkeypatch.setattr(
            StableDiffusionPipeline,
            method,
            lambda self, *a, method=method, **k: called.update({method: (a, k)}),
        )
    monkeypatch.setattr("daam_bench.diffusion.pipelines.pick_device", lambda device: device)
    for offload in OFFLOADS:
        load_pipeline(str(tiny_model), device="cuda:1", offload=offload)
    assert (
        called["enable_model_cpu_offload"]
        == called["enable_sequential_cpu_offload"]
        == ((), {"device": "cuda:1"})
    )
    (device,), options = called["enable_group_offload"]
    assert (str(device), options) == ("cuda:1", {"offload_type": "leaf_level", "use_stream": True})


def test_an_offload_that_can_not_be_is_told(tiny_model):
    with pytest.raises(InputError, match="sequential offload is from the CPU to a GPU"):
        load_pipeline(str(tiny_model), device="cpu", offload="sequential")
    with pytest.raises(InputError, match="unknown offload 'disk'; choose one of model, sequential, group"):
        load_pipeline(str(tiny_model), device="cpu", offload="disk")


@pytest.mark.parametrize(("offload", "method"), [(None, "to"), ("model", "enable_model_cpu_offload")])
def test_memory_that_runs_out_while_a_model_is_loaded_is_told_in_a_line(
    offload, method, tiny_model, monkeypatch
):
    def run_out(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(StableDiffusionPipeline, method, run_out)
    with pytest.raises(
        InputError, match="needs more memory than cpu has; give --offload or a --dtype"
    ) as told:
        load_pipeline(str(tiny_model), device="cpu", offload=offload)
    assert "\n" not in str(told.value)


def test_the_steps_of_a_batch_have_a_bar_on_a_terminal_alone(tiny_model, monkeypatch, capsys):
    generation = usual_generation(
        load_pipeline(str(tiny_model), device="cpu"), "tiny", steps=2, height=16, width=16
    )
    for shown in (False, True):
        monkeypatch.setattr(pipelines, "show_steps", shown)
        generate(load_pipeline(str(tiny_model), device="cpu"), ["a cat"], [1], generation)
        assert ("steps of a batch: " in capsys.readouterr().err) == shown


def test_the_command_line_shows_the_steps_where_its_stderr_is_a_terminal(monkeypatch, capsys):
    for is_terminal in (False, True):
        monkeypatch.setattr(pipelines, "show_steps", False)
        monkeypatch.setattr("sys.stderr.isatty", lambda answer=is_terminal: answer)
        assert main(["swap", "nowhere.txt"]) == 2
        assert pipelines.show_steps == is_terminal


def test_a_folder_that_is_no_pipeline_is_told_what_it_lacks(tmp_path):
    with pytest.raises(InputError, match=r"model_index.json found in .*; give a whole folder as") as told:
        load_pipeline(str(tmp_path))
    assert "hf download" not in str(told.value)
