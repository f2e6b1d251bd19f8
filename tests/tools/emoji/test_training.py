import json
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline

from daam_bench.types.errors import InputError
from tools.emoji.config import load_config
from tools.emoji.train import learning_rate
from tools.emoji.training import train_pipeline
from tools.emoji.workers import ProgressLog

TINY = """
[world]
image_size = 32
seed = 0
[vae]
latent_channels = 4
widths = [8, 8]
groups = 4
[text_encoder]
width = 24
layers = 1
heads = 2
[unet]
widths = [16, 16, 32]
groups = 8
head_width = 8
[vae_training]
samples = 32
batch_size = 8
learning_rate = 1e-3
[training]
samples = 64
cooldown = 0.2
batch_size = 8
learning_rate = 1e-3
warmup_steps = 2
ema_decay = 0.9
prompt_dropout = 0.1
object_weight = 2.0
pool = 64
fresh = 4
save_minutes = 0.0
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def samples_logged(out):
    return [json.loads(line)["samples"] for line in (out / "history.jsonl").read_text().splitlines()]


def test_training_makes_a_pipeline_that_diffusers_loads_alone(config, font, tmp_path):
    out = tmp_path / "out"
    train_pipeline(config=config, out=out, font=font, processes=1)
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


def test_a_killed_training_goes_on_from_its_checkpoint(config, font, tmp_path):
    out = tmp_path / "out"
    config.write_text(TINY.replace("samples = 64", "samples = 1000000"))
    command = [sys.executable, "-m", "tools.emoji", "train", "--processes", "2"]
    command += ["--config", str(config), "--out", str(out), "--font", str(font)]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 120
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


def test_a_training_can_start_from_another_pipelines_weights(config, font, tmp_path):
    train_pipeline(config=config, out=tmp_path / "first", font=font, processes=1)
    start = tmp_path / "first" / "pipeline"
    config.write_text(TINY.replace("learning_rate = 1e-3\nwarmup", "learning_rate = 0.0\nwarmup"))
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
        first.write(samples, loss=1.0)
    ProgressLog(path, total=30, done=20).write(25, loss=0.5)
    assert samples_logged(tmp_path) == [10, 20, 25]


def test_the_learning_rate_warms_up_stays_and_cools_down():
    config = load_config("small")
    peak, total = config.training.learning_rate, config.training.samples
    rates = [
        learning_rate(config, samples=s, step=s // 32) for s in (0, 32 * 400, total // 2, total * 9 // 10)
    ]
    assert rates[0] < 0.01 * peak
    assert rates[1] == rates[2] == peak
    assert np.isclose(rates[3], peak / 2)
    assert learning_rate(config, samples=total, step=10**6) == 0


def test_a_configuration_with_a_wrong_key_is_refused_by_name(config):
    config.write_text(TINY.replace("heads = 2", "haeds = 2"))
    with pytest.raises(InputError, match=r"\[text_encoder\].*haeds"):
        load_config(config)


def test_an_unknown_configuration_names_the_shipped_ones():
    with pytest.raises(InputError, match="small"):
        load_config("smal")


def test_mending_the_decoder_leaves_the_latents_alone(config, font, tmp_path):
    train_pipeline(config=config, out=tmp_path / "first", font=font, processes=1)
    start = tmp_path / "first" / "pipeline"
    train_pipeline(
        config=config, out=tmp_path / "fixed", font=font, start=start, processes=1, mend_decoder=True
    )
    old, new = (
        AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32)
        for folder in (start / "vae", tmp_path / "fixed" / "vae")
    )
    image = torch.zeros(1, 3, 32, 32)
    assert torch.allclose(
        old.encode(image).latent_dist.mode(), new.encode(image).latent_dist.mode(), atol=1e-4
    )
    assert old.config.scaling_factor == new.config.scaling_factor
    assert not torch.allclose(old.decoder.conv_out.weight, new.decoder.conv_out.weight, atol=1e-5)
