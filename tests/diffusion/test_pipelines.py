import shutil

import huggingface_hub
import pytest

from daam_bench.diffusion.pipelines import commit_of, load_pipeline, takes_whole
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
