"""What is told where MMDetection is missing or came without what it needs."""

import sys

import pytest

from daam_bench.segmenters.registry import get_segmenter
from daam_bench.types.errors import InputError


def test_without_mmdetection_the_line_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "mmcv", None)
    with pytest.raises(InputError) as caught:
        get_segmenter("mask_rcnn")
    text = str(caught.value)
    assert text.startswith(
        "method 'mask_rcnn' needs MMDetection; type: pip install 'setuptools<81' wheel ninja"
    )
    assert text.endswith("pip install 'daam-bench[mmdet]'")


def test_mmcv_without_its_operators_is_told(monkeypatch):
    pytest.importorskip("mmcv", reason="needs mmcv: `make mmdet` installs it")
    monkeypatch.setitem(sys.modules, "mmcv.ops", None)
    with pytest.raises(InputError, match="came without; type: pip uninstall -y mmcv && pip install"):
        get_segmenter("queryinst")


def test_an_mmdetection_that_refuses_its_mmcv_is_told(monkeypatch):
    pytest.importorskip(
        "mmcv.ops", reason="needs MMDetection: `make mmdet` installs it", exc_type=ImportError
    )

    class Refusing:
        def find_spec(self, name, path=None, target=None):
            if name == "mmdet":
                raise AssertionError("MMCV==2.2.0 is used but incompatible.")

    for name in [name for name in sys.modules if name.split(".")[0] == "mmdet"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    with pytest.raises(InputError, match=r"refuses what is installed beside it .MMCV==2.2.0 is used"):
        get_segmenter("mask2former")


def test_listing_methods_needs_no_mmdetection(monkeypatch):
    from daam_bench.segmenters.registry import find_method, method_names

    for name in ("mmcv", "mmdet", "mmengine"):
        monkeypatch.setitem(sys.modules, name, None)
    assert {"mask_rcnn", "queryinst", "mask2former", "mmdet"} <= method_names().keys()
    assert find_method("queryinst").name == "queryinst"
