"""Weights are read from every format that holds them, and no code of a checkpoint runs."""

import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from daam_bench.segmenters.mmdet.detector_files import read_weights
from daam_bench.types.errors import InputError

STATE = OrderedDict(weight=torch.arange(6.0).reshape(2, 3))


class Touches:
    """Creates a file when it is unpickled the usual way."""

    def __init__(self, path, opener):
        self.path, self.opener = path, opener

    def __reduce__(self):
        if self.opener is os.system:
            return os.system, (f"touch {self.path}",)
        return eval, (f"open({str(self.path)!r}, 'w')",)


def test_a_plain_state_dict(tmp_path):
    save_file(dict(STATE), tmp_path / "a.safetensors")
    torch.save(STATE, tmp_path / "a.pth")
    torch.save(STATE, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("a.safetensors", "a.pth", "old.pth"):
        weights = read_weights(tmp_path / name)
        assert torch.equal(weights.tensors["weight"], STATE["weight"])
        assert weights.classes is None


@pytest.mark.parametrize(
    "meta", [{"dataset_meta": {"classes": ("cat", "dog")}}, {"CLASSES": ["cat", "dog"], "epoch": 12}]
)
def test_class_names_are_found_where_mmdetection_puts_them(meta, tmp_path):
    torch.save({"state_dict": STATE, "meta": meta}, tmp_path / "a.pth")
    assert read_weights(tmp_path / "a.pth").classes == ("cat", "dog")


def test_a_checkpoint_of_mmengine_s_runner(tmp_path):
    pytest.importorskip("mmengine", reason="needs MMEngine: `make mmdet` installs it")
    from mmengine.model import BaseModel
    from mmengine.runner import Runner

    class Tiny(BaseModel):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def forward(self, inputs, mode="loss"):
            return {"loss": self.layer(inputs).mean()}

    data = [torch.ones(2), torch.zeros(2)]
    runner = Runner(
        model=Tiny(),
        work_dir=str(tmp_path),
        train_dataloader={"dataset": data, "batch_size": 1, "sampler": {"type": "DefaultSampler"}},
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "AdamW", "lr": 0.1}},
        log_level="ERROR",
        default_scope="mmengine",
        experiment_name="tiny",
    )
    runner.train()
    checkpoint = next(tmp_path.glob("*.pth"))
    with pytest.raises(Exception, match="Weights only load failed"):
        torch.load(checkpoint, weights_only=True)
    weights = read_weights(checkpoint)
    assert torch.equal(weights.tensors["layer.weight"], runner.model.layer.weight)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("opener", [os.system, eval])
def test_code_in_a_checkpoint_does_not_run(opener, old, tmp_path):
    mark = tmp_path / "mark"
    content = {"state_dict": STATE, "meta": {"x": Touches(mark, opener)}}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=not old)
    try:
        weights = read_weights(tmp_path / "a.pth")
    except InputError as error:
        assert "can't be read" in str(error)  # noqa: PT017
    else:
        assert torch.equal(weights.tensors["weight"], STATE["weight"])
    assert not mark.exists()


def test_what_torch_knows_as_safe_is_as_before(tmp_path):
    before = set(torch.serialization.get_safe_globals())
    torch.save({"state_dict": STATE, "x": np.float64(1)}, tmp_path / "a.pth")
    read_weights(tmp_path / "a.pth")
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize("content", [{"epoch": 3}, {}, [1, 2], {"state_dict": {"weight": [1.0]}}])
def test_a_file_without_weights_is_told(content, tmp_path):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(InputError, match="holds no weights"):
        read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("data", [b"", b"<html>404</html>", b"PK\x03\x04 and no more"])
def test_a_damaged_file_is_told_in_one_line(name, data, tmp_path):
    path = Path(tmp_path / name)
    path.write_bytes(data)
    with pytest.raises(InputError, match="can't be read") as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)
