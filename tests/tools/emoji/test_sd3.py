import json
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from diffusers import StableDiffusion3Pipeline

from daam_bench.emoji import PIPELINE
from daam_bench.types.errors import InputError
from tests.tools.emoji.tiny_configurations import SD3
from tools.emoji.configuration import Sd3PipelineSettings, load_settings
from tools.emoji.sd3 import eager_attention, train_sd3

pytestmark = pytest.mark.slow

FOLDERS = ("text_encoder", "text_encoder_2", "text_encoder_3", "transformer")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("sd3") / "tiny.toml"
    path.write_text(SD3)
    return path


@pytest.fixture(scope="module")
def trained(config, font, tmp_path_factory):
    """A training of two steps."""
    out = tmp_path_factory.mktemp("trained")
    train_sd3(config=config, out=out, font=font, start_vae=PIPELINE, processes=1)
    return out


def state(out):
    return torch.load(out / "checkpoint.pt", weights_only=True)


def load(out):
    return StableDiffusion3Pipeline.from_pretrained(out / "pipeline")


def test_the_pipeline_loads_alone_and_generates(trained):
    pipeline = load(trained)
    pipeline.set_progress_bar_config(disable=True)
    assert {getattr(pipeline, name).dtype for name in FOLDERS} == {torch.float32}
    assert pipeline.vae.config.shift_factor == 0.0
    options = {"num_inference_steps": 2, "max_sequence_length": 24}
    image = pipeline("a cat on the grass", generator=torch.Generator().manual_seed(0), **options).images[0]
    assert image.size == (64, 64)


def test_the_weights_ship_in_float16_with_a_record_of_their_training(trained):
    from safetensors.torch import load_file

    for name in FOLDERS:
        (path,) = (trained / "pipeline" / name).glob("*.safetensors")
        assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}
    record = json.loads((trained / "pipeline" / "training.json").read_text())
    assert (record["samples"], record["steps"]) == (16, 2)
    assert record["config"]["transformer"]["heads"] == 2
    assert "loss" in json.loads((trained / "pipeline" / "history.jsonl").read_text())
    assert "max_sequence_length=24" in (trained / "pipeline" / "README.md").read_text()


def test_every_word_of_the_world_is_one_token_of_t5s(trained):
    tokenizer = load(trained).tokenizer_3
    assert tokenizer.model_max_length == 256
    assert tokenizer.convert_ids_to_tokens(tokenizer("Two elephants, in the sky.").input_ids) == [
        *("two", "elephants", ",", "in", "the", "sky", ".", "</s>")
    ]
    assert tokenizer("astronauts").input_ids == [tokenizer.unk_token_id, tokenizer.eos_token_id]


def test_no_file_names_a_class_that_transformers_4_lacks(trained):
    for name in ("model_index.json", "tokenizer_3/tokenizer_config.json"):
        text = (trained / "pipeline" / name).read_text()
        assert "PreTrainedTokenizerFast" in text
        assert "TokenizersBackend" not in text
    for name in ("tokenizer", "tokenizer_2"):
        assert {"vocab.json", "merges.txt"} <= {path.name for path in (trained / "pipeline" / name).iterdir()}


def test_a_resumed_training_ends_as_an_uninterrupted_one(config, trained, font, tmp_path):
    options = {"config": config, "out": tmp_path, "font": font, "start_vae": PIPELINE, "processes": 1}
    train_sd3(**options, minutes=0)
    assert state(tmp_path)["step"] == 1
    train_sd3(**options)
    whole, resumed = state(trained), state(tmp_path)
    assert all(torch.equal(whole["net"][name], resumed["net"][name]) for name in whole["net"])
    assert all(map(torch.equal, whole["ema"]["shadow_params"], resumed["ema"]["shadow_params"]))


def test_a_training_starts_from_a_pipelines_weights(config, trained, font, tmp_path):
    still = tmp_path / "still.toml"
    still.write_text(SD3.replace("learning_rate = 1e-3", "learning_rate = 0.0"))
    start = trained / "pipeline"
    train_sd3(config=still, out=tmp_path, font=font, start_vae=PIPELINE, start=start, processes=1)
    first, second = load(trained), load(tmp_path)
    for name in FOLDERS:
        old, new = getattr(first, name).state_dict(), getattr(second, name).state_dict()
        assert all(torch.allclose(old[key], new[key], atol=1e-3) for key in old)


def test_the_first_share_of_the_samples_is_taught_by_the_unet(config, font, tmp_path, monkeypatch):
    from tools.emoji.teacher import Teacher

    asked, velocity = [], Teacher.velocity

    def listen(*arguments):
        asked.append(velocity(*arguments))
        return asked[-1]

    monkeypatch.setattr(Teacher, "velocity", listen)
    taught = tmp_path / "taught.toml"
    taught.write_text(SD3 + "taught = 0.5\n")
    train_sd3(config=taught, out=tmp_path / "out", font=font, start_vae=PIPELINE, processes=1)
    assert state(tmp_path / "out")["step"] == 2
    assert [velocity.shape for velocity in asked] == [(8, 8, 16, 16)]


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.5}, {"attn_mask": "upper"}])
def test_eager_attention_is_pytorchs_forwards_and_backwards(options):
    if "attn_mask" in options:
        options = {"attn_mask": torch.ones(5, 5, dtype=torch.bool).triu()}
    fused = F.scaled_dot_product_attention
    results = []
    for context in (nullcontext, eager_attention):
        given = torch.randn(3, 2, 4, 5, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
        with context():
            result = F.scaled_dot_product_attention(*given, dropout_p=0.0, **options)
        result.pow(2).sum().backward()
        results.append((result.detach(), given.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert F.scaled_dot_product_attention is fused


def test_a_training_compiles_the_blocks_if_it_is_told_to(config, font, tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: compiled.append(type(module)))
    told = tmp_path / "told.toml"
    told.write_text(SD3 + "compile = true\n")
    for path, count in ((config, 0), (told, 2)):
        train_sd3(config=path, out=tmp_path / path.stem, font=font, start_vae=PIPELINE, processes=1)
        assert [kind.__name__ for kind in compiled] == ["JointTransformerBlock"] * count


def test_muon_takes_the_matrices_of_the_blocks_and_a_checkpoint_without_it_is_refused(
    config, trained, font, tmp_path
):
    adamw, muon = state(trained)["opt"]
    assert len(muon["state"]) == len(muon["param_groups"][0]["params"]) > 0
    assert muon["param_groups"][0]["lr"] == pytest.approx(2.5 * adamw["param_groups"][0]["lr"])
    plain = tmp_path / "plain.toml"
    plain.write_text(SD3.replace("muon = 2.5", "muon = 0.0"))
    options = {"config": plain, "font": font, "start_vae": PIPELINE, "processes": 1}
    with pytest.raises(InputError, match="set muon as it was"):
        train_sd3(**options, out=trained)
    train_sd3(**options, out=tmp_path)
    assert len(state(tmp_path)["opt"]) == 1


def test_a_killed_training_resumes_from_its_checkpoint(config, font, tmp_path):
    command = [sys.executable, "-m", "tools.emoji", "train-sd3", "--processes", "2", "--samples", "1000000"]
    command += ["--config", str(config), "--out", str(tmp_path), "--font", str(font)]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 300
    while not (tmp_path / "pipeline" / "training.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.kill()  # the parent alone: its workers must notice
    process.wait()
    time.sleep(1)
    reached = state(tmp_path)
    assert reached["samples"] > 0
    samples = reached["samples"] + 16
    train_sd3(config=config, out=tmp_path, font=font, start_vae=PIPELINE, processes=1, samples=samples)
    assert state(tmp_path)["step"] == reached["step"] + 2


def test_the_shipped_configuration_is_the_one_described():
    settings = load_settings("sd3", Sd3PipelineSettings)
    transformer = settings.transformer
    assert (transformer.heads, transformer.head_width, transformer.layers, transformer.patch) == (4, 32, 6, 1)
    clips = settings.text_encoder.width + settings.text_encoder_2.width
    assert clips <= settings.text_encoder_3.width


def test_a_configuration_of_the_other_trainer_is_refused(tmp_path, font):
    with pytest.raises(InputError, match="transformer: Field required"):
        train_sd3(config="small", out=tmp_path, font=font, start_vae=PIPELINE, processes=1)
