import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline

from daam_bench.emoji import PIPELINE
from daam_bench.types.errors import InputError
from tests.tools.emoji.tiny_configurations import UNET
from tools.emoji.autoencoder import train_decoder
from tools.emoji.configuration import UnetPipelineSettings, load_settings
from tools.emoji.generator import learning_rate
from tools.emoji.training import ProgressLog
from tools.emoji.unet import build_unet, train_pipeline

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(UNET)
    return path


def samples_logged(out):
    return [json.loads(line)["samples"] for line in (out / "history.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(font, tmp_path_factory):
    """A whole training in one process."""
    out = tmp_path_factory.mktemp("trained")
    (out / "tiny.toml").write_text(UNET)
    train_pipeline(config=out / "tiny.toml", out=out, font=font, processes=1)
    return out


@pytest.fixture
def begun(trained, tmp_path):
    """A training whose tokenizer and autoencoder are done."""
    for name in ("tokenizer", "vae"):
        shutil.copytree(trained / name, tmp_path / "out" / name)
    return tmp_path / "out"


def test_training_makes_a_pipeline_that_diffusers_loads_alone(trained):
    out = trained
    pipeline = StableDiffusionPipeline.from_pretrained(out / "pipeline", torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline("a cat on the grass", num_inference_steps=2).images[0]
    assert image.size == (32, 32)
    record = json.loads((out / "pipeline" / "training.json").read_text())
    assert record["samples"] == 64
    assert record["steps"] == 8
    record = json.loads((out / "pipeline" / "vae" / "training.json").read_text())
    assert record["samples"] == 32
    assert record["psnr_db"] > 0


def test_two_processes_share_a_batch(config, font, tmp_path):
    out = tmp_path / "out"
    train_pipeline(config=config, out=out, font=font, processes=2)
    assert json.loads((out / "pipeline" / "training.json").read_text())["steps"] == 8


def test_a_killed_training_resumes_from_its_checkpoint(config, font, begun):
    out = begun
    config.write_text(UNET.replace("samples = 64", "samples = 1000000"))
    command = [sys.executable, "-m", "tools.emoji", "train", "--processes", "2"]
    command += ["--config", str(config), "--out", str(out), "--font", str(font)]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 300
    while not (out / "pipeline" / "training.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.kill()  # the parent alone: its workers must notice
    process.wait()
    time.sleep(1)
    reached = torch.load(out / "checkpoint.pt", weights_only=True)
    assert reached["samples"] > 0
    train_pipeline(config=config, out=out, font=font, processes=1, samples=reached["samples"] + 16)
    resumed = torch.load(out / "checkpoint.pt", weights_only=True)
    assert resumed["samples"] == reached["samples"] + 16
    assert resumed["step"] == reached["step"] + 2


def weights(folder):
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    return state["model"], state["ema"]["shadow_params"]


def test_a_resumed_training_ends_as_an_uninterrupted_one(config, trained, begun, font):
    parts = {"config": config, "out": begun, "font": font, "processes": 1}
    train_pipeline(**parts, minutes=0)
    assert torch.load(begun / "checkpoint.pt", weights_only=True)["step"] == 1
    train_pipeline(**parts)
    (whole, averages), (resumed, resumed_averages) = weights(trained), weights(begun)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert all(map(torch.equal, averages, resumed_averages))


def test_a_training_is_not_resumed_with_other_heads(config, trained, font, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(trained, out)
    config.write_text(UNET.replace("heads = 2\n[vae_training]", "head_width = 8\n[vae_training]"))
    before = (out / "checkpoint.pt").read_bytes()
    with pytest.raises(InputError, match=r"trained with other settings of unet .*give another --out"):
        train_pipeline(config=config, out=out, font=font, samples=72, processes=1)
    assert (out / "checkpoint.pt").read_bytes() == before


def test_other_heads_than_those_of_the_start_are_said(config, trained, font, tmp_path, capsys):
    config.write_text(UNET.replace("heads = 2\n[vae_training]", "head_width = 8\n[vae_training]"))
    start = trained / "pipeline"
    train_pipeline(config=config, out=tmp_path / "out", font=font, start=start, samples=8, processes=1)
    assert (
        "has [2, 2, 2] attention heads by level; they are trained on as [2, 2, 4]" in capsys.readouterr().out
    )


def test_another_seed_keeps_the_autoencoder_and_changes_the_weights(config, trained, font, tmp_path):
    first, second = trained / "pipeline", tmp_path / "pipeline"
    train_pipeline(config=config, out=tmp_path, font=font, start_vae=first, seed=1, processes=1)
    for name in ("vae/diffusion_pytorch_model.safetensors", "tokenizer/tokenizer.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    record = json.loads((second / "training.json").read_text())
    assert record["config"]["world"]["seed"] == 1
    weight = "unet.conv_in.weight"
    assert not torch.allclose(weights(trained)[0][weight], weights(tmp_path)[0][weight], atol=0.01)


def test_equal_heads_leave_the_weights_shapes_as_they_are(config):
    config.write_text(UNET.replace("heads = 2\n[vae_training]", "head_width = 8\n[vae_training]"))
    by_width = build_unet(load_settings(config, UnetPipelineSettings))
    config.write_text(UNET)
    equal = build_unet(load_settings(config, UnetPipelineSettings))
    assert equal.config.attention_head_dim == [2, 2, 2]
    assert by_width.config.attention_head_dim == [2, 2, 4]
    equal.load_state_dict(by_width.state_dict())


def test_heads_and_their_width_together_are_refused(config):
    config.write_text(UNET.replace("heads = 2\n[vae", "heads = 2\nhead_width = 8\n[vae"))
    with pytest.raises(InputError, match="either heads or head_width"):
        load_settings(config, UnetPipelineSettings)


def test_the_shipped_weights_fit_the_shipped_configuration():
    unet = build_unet(load_settings("small", UnetPipelineSettings))
    shipped = StableDiffusionPipeline.from_pretrained(PIPELINE).unet
    unet.load_state_dict(shipped.state_dict())


def test_a_training_can_start_from_another_pipelines_weights(config, trained, font, tmp_path):
    start = trained / "pipeline"
    config.write_text(UNET.replace("learning_rate = 1e-3\nwarmup", "learning_rate = 0.0\nwarmup"))
    train_pipeline(config=config, out=tmp_path / "second", font=font, start=start, processes=1)
    first, second = (
        StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
        for folder in (start, tmp_path / "second" / "pipeline")
    )
    for old, new in zip(first.unet.parameters(), second.unet.parameters(), strict=True):
        assert torch.allclose(old, new, atol=2e-3)


def test_the_record_leaves_out_what_a_kill_undid(tmp_path):
    path = tmp_path / "history.jsonl"
    first = ProgressLog(path, total=30, done=0)
    for samples in (10, 20, 30):
        first.write(samples, {"loss": 1.0})
    ProgressLog(path, total=30, done=20).write(25, {"loss": 0.5})
    assert samples_logged(tmp_path) == [10, 20, 25]


def test_the_learning_rate_warms_up_stays_and_cools_down():
    training = load_settings("small", UnetPipelineSettings).training
    peak, total = training.learning_rate, training.samples
    rates = [
        learning_rate(training, samples=s, step=s // 32) for s in (0, 32 * 400, total // 2, total * 9 // 10)
    ]
    assert rates[0] < 0.01 * peak
    assert rates[1] == rates[2] == peak
    assert np.isclose(rates[3], peak / 2)
    assert learning_rate(training, samples=total, step=10**6) == 0


def test_a_configuration_with_a_wrong_key_is_refused_by_name(config):
    config.write_text(UNET.replace("heads = 2", "haeds = 2"))
    with pytest.raises(InputError, match=r"text_encoder.heads: Field required; text_encoder.haeds"):
        load_settings(config, UnetPipelineSettings)


def test_an_unknown_configuration_names_the_shipped_ones():
    with pytest.raises(InputError, match="small"):
        load_settings("smal", UnetPipelineSettings)


def test_training_the_decoder_leaves_the_latents_alone(config, trained, font, tmp_path):
    start = trained / "pipeline"
    train_decoder(config=config, out=tmp_path / "decoder", font=font, start=start, processes=1)
    old, new = (
        AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32)
        for folder in (start / "vae", tmp_path / "decoder" / "vae")
    )
    image = torch.zeros(1, 3, 32, 32)
    assert torch.allclose(
        old.encode(image).latent_dist.mode(), new.encode(image).latent_dist.mode(), atol=1e-4
    )
    assert old.config.scaling_factor == new.config.scaling_factor
    assert not torch.allclose(old.decoder.conv_out.weight, new.decoder.conv_out.weight, atol=1e-5)
