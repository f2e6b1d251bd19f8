"""Pipelines from others: neither pickles nor code that comes along is run."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from daam_bench.diffusion.pipelines import load_pipeline
from daam_bench.types.errors import InputError
from tests.tiny_pipelines import tiny_sd


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return Path.touch, (self.witness,)


def pickle_beside(weights: Path) -> Path:
    """Where a model's weights are as a pickle."""
    of_transformers = weights.name == "model.safetensors"
    return weights.with_name("pytorch_model.bin" if of_transformers else "diffusion_pytorch_model.bin")


@pytest.fixture
def pickled(tmp_path) -> Path:
    """A pipeline with weights as pickles only."""
    tiny_sd().save_pretrained(tmp_path / "pickled")
    for weights in list((tmp_path / "pickled").rglob("*.safetensors")):
        torch.save(load_file(weights), pickle_beside(weights))
        weights.unlink()
    return tmp_path / "pickled"


def test_pickles_are_not_opened(pickled, tmp_path):
    for weights in pickled.rglob("*.bin"):
        weights.write_bytes(pickle.dumps(Evil(tmp_path / "witness")))
    with pytest.raises(
        InputError, match=r"has no weights as safetensors.*or set DAAM_BENCH_PICKLES=1"
    ) as caught:
        load_pipeline(str(pickled), device="cpu")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "witness").exists()


def test_pickles_on_request(pickled, monkeypatch):
    monkeypatch.setenv("DAAM_BENCH_PICKLES", "1")
    assert type(load_pipeline(str(pickled), device="cpu")).__name__ == "StableDiffusionPipeline"


def test_safetensors_are_preferred_to_pickles_beside_them(tmp_path, monkeypatch):
    monkeypatch.setenv("DAAM_BENCH_PICKLES", "1")
    folder = tmp_path / "both"
    tiny_sd().save_pretrained(folder)
    for weights in list(folder.rglob("*.safetensors")):
        pickle_beside(weights).write_bytes(pickle.dumps(Evil(tmp_path / "witness")))
    load_pipeline(str(folder), device="cpu")
    assert not (tmp_path / "witness").exists()


def test_code_that_comes_along_is_not_run(tmp_path):
    folder = tmp_path / "coded"
    tiny_sd().save_pretrained(folder)
    code = f"from pathlib import Path\nPath({str(tmp_path / 'witness')!r}).touch()\n"
    (folder / "pipeline.py").write_text(code)
    (folder / "unet" / "evil.py").write_text(code)
    index = json.loads((folder / "model_index.json").read_text())
    index["_class_name"] = ["pipeline", "Evil"]
    index["unet"] = ["evil", "Evil"]
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="can't be loaded"):
        load_pipeline(str(folder), device="cpu")
    assert not (tmp_path / "witness").exists()
