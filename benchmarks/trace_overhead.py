"""What tracing costs: CPU time of a traced generation over an untraced one, memory, and time of the maps.

Three pipelines: the shipped emoji pipeline; a UNet of Stable Diffusion 1.5's true size with random weights
at 512x512 (some 6 GB of memory; minutes a generation on one core); and one double and one single block of
FLUX.1's size at 1024x1024, in random bfloat16 weights. There tracing with the attention kernel's log-sum-exp
stands beside tracing by whole rows, and beside attention-map-diffusers, which puts its work off to the maps.

Runs are interleaved, and every ratio is the median over rounds of two runs of one round, so that other load
on the machine, which slows both, cancels out. What disturbs a run only ever adds to it, so the fastest run
over the fastest untraced one stands beside it. Memory is the peak of tensor bytes alive during one inference
step, by torch's profiler.

castorini/daam is measured in the same process where it is installed:

    pip install --no-deps daam==0.2.0
    pip install spacy matplotlib scipy

    python benchmarks/trace_overhead.py                       # all three pipelines
    python benchmarks/trace_overhead.py --skip-sd15           # a minute
    python benchmarks/trace_overhead.py --skip-emoji --rounds 1
    python benchmarks/trace_overhead.py --skip-emoji --skip-sd15 --skip-others --rounds 12

Targets: CPU time at most 1.10 (emoji), 1.01 (SD 1.5; castorini/daam 1.04) and 1.01 (FLUX), memory at most
20 MB (120 MB), all words' maps in at most 0.1 s (1.4 s and more).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch.profiler import ProfilerActivity, profile
from transformers import CLIPTextConfig, CLIPTextModel

from daam_bench import trace
from daam_bench.attribution.sinks import TextAttention
from daam_bench.emoji import PIPELINE

PROMPT = "a cat and a dog on the grass"
SD15_PROMPT = "a cat and a dog on the grass with a red hat, a teddy bear and two pizza"

Tracers = dict[str, Callable[[Any], Any]]


def main() -> None:
    """Measure what the options ask for and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pipeline", type=Path, default=PIPELINE, help="the emoji pipeline's folder")
    parser.add_argument("--rounds", type=int, help="rounds of interleaved runs (default: 15 emoji, 3 SD 1.5)")
    parser.add_argument("--steps", type=int, help="inference steps (default: 25 emoji, 2 SD 1.5)")
    parser.add_argument("--threads", type=int, default=1, help="torch's CPU threads (default: 1)")
    parser.add_argument("--skip-emoji", action="store_true")
    parser.add_argument("--skip-sd15", action="store_true")
    parser.add_argument("--skip-flux", action="store_true")
    parser.add_argument("--skip-memory", action="store_true")
    parser.add_argument("--skip-others", action="store_true", help="measure daam-bench's own tracer alone")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not options.skip_emoji:
        pipeline = StableDiffusionPipeline.from_pretrained(options.pipeline, torch_dtype=torch.float32)
        print(f"emoji pipeline, {options.steps or 25} steps")
        measure_time(pipeline, PROMPT, {"daam-bench": trace}, options.rounds or 15, options.steps or 25)
    if not options.skip_sd15:
        tracers: Tracers = {"daam-bench": trace}
        if not options.skip_others and (castorini := find_castorini()):
            tracers["castorini/daam"] = castorini
        pipeline = sd15_sized_pipeline()
        print(f"Stable Diffusion 1.5's size, 512x512, {options.steps or 2} steps")
        if not options.skip_memory:
            measure_memory(pipeline, SD15_PROMPT, tracers)
        measure_time(pipeline, SD15_PROMPT, tracers, options.rounds or 3, options.steps or 2)
    if not options.skip_flux:
        tracers = {"daam-bench": trace}
        if not options.skip_others:
            tracers["daam-bench, whole rows"] = trace_whole_rows
            if other := find_attention_map_diffusers():
                tracers["attention-map-diffusers"] = other
        pipeline = flux_sized_pipeline()
        print(f"FLUX's shape, one double and one single block, 1024x1024, {options.steps or 1} steps")
        if not options.skip_memory:
            measure_memory(pipeline, SD15_PROMPT, tracers)
        measure_time(pipeline, SD15_PROMPT, tracers, options.rounds or 3, options.steps or 1)


def measure_time(pipeline: Any, prompt: str, tracers: Tracers, rounds: int, steps: int) -> None:
    """Print each tracer's CPU time over the untraced run's, and the time of all words' maps."""
    contexts = {"untraced": lambda pipeline: nullcontext(), **tracers}
    names = list(contexts)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    maps: dict[str, list[float]] = {name: [] for name in tracers}
    shares: list[float] = []
    with trace(pipeline):  # the first attention of a kind is computed twice, to check the kernel's normaliser
        draw(pipeline, prompt, 1)
    for turn in range(rounds):
        for name in (names, names[::-1])[turn % 2]:
            with contexts[name](pipeline) as tracer, summing_seconds() as summing:
                start = time.process_time()
                draw(pipeline, prompt, steps)
                seconds[name].append(time.process_time() - start)
            if name == "daam-bench":
                shares.append(sum(summing) / seconds[name][-1])
            if name in tracers:
                start = time.process_time()
                all_word_maps(tracer, prompt)
                maps[name].append(time.process_time() - start)
    print(f"  untraced: {median(seconds['untraced']):.3f} s of CPU time, median of {rounds}")
    for name in tracers:
        base = seconds["untraced"]
        ratios = [run / one for run, one in zip(seconds[name], base, strict=True)]
        whole = [(run + after) / one for run, after, one in zip(seconds[name], maps[name], base, strict=True)]
        print(
            f"  {name}: {median(ratios):.4f} of the untraced CPU time "
            f"(rounds {min(ratios):.4f} to {max(ratios):.4f}; fastest over fastest "
            f"{min(seconds[name]) / min(base):.4f}); all words' maps {median(maps[name]):.4f} s; "
            f"both {median(whole):.4f} ({min(whole):.4f} to {max(whole):.4f})"
        )
    print(f"  daam-bench, timed by itself: {median(shares):.4f} of its run is spent summing probabilities")


@contextmanager
def summing_seconds() -> Iterator[list[float]]:
    """Time daam-bench's own work apart from the model's: a steadier number than a ratio of two runs."""
    seconds: list[float] = []
    add_attention = TextAttention.add_attention

    def timed(*args: Any) -> None:
        start = time.process_time()
        add_attention(*args)
        seconds.append(time.process_time() - start)

    with patch.object(TextAttention, "add_attention", timed):
        yield seconds


def measure_memory(pipeline: Any, prompt: str, tracers: Tracers) -> None:
    """Print each tracer's peak of tensor bytes over the untraced run's, for one step."""
    base = peak_bytes(lambda: draw(pipeline, prompt, 1))
    print(f"  untraced: peak of {base / 1e6:.1f} MB of tensors beside the weights")
    for name, tracer in tracers.items():
        with tracer(pipeline):
            extra = peak_bytes(lambda: draw(pipeline, prompt, 1)) - base
        print(f"  {name}: {extra / 1e6:+.1f} MB")


def peak_bytes(run: Callable[[], Any]) -> int:
    """Return the most bytes that tensors made during `run` held at once."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def draw(pipeline: Any, prompt: str, steps: int) -> Any:
    """Generate one image's latents, always from the same noise."""
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    return pipeline(prompt, num_inference_steps=steps, generator=generator, output_type="latent").images


def all_word_maps(tracer: Any, prompt: str) -> None:
    """Make the map of every word of the prompt."""
    if hasattr(tracer, "compute"):
        tracer.compute()
    elif hasattr(tracer, "compute_global_heat_map"):
        maps = tracer.compute_global_heat_map(prompt)
        for word in dict.fromkeys(prompt.replace(",", "").split()):
            maps.compute_word_heat_map(word)
    else:
        maps = tracer.heat_maps()[0]
        for word in maps.words():
            maps.word(word.start, word.end)


@contextmanager
def trace_whole_rows(pipeline: Any) -> Iterator[Any]:
    """Trace without the log-sum-exp of the attention kernel: each row is computed over all keys."""
    nothing = patch("daam_bench.attribution.fused.attention_with_normaliser", lambda *a, **k: (None, None))
    with nothing, trace(pipeline) as tracer:
        yield tracer


def find_attention_map_diffusers() -> Callable[[Any], Any] | None:
    """Return attention-map-diffusers' capture of image-to-text attention where it is installed."""
    try:
        from attention_map_diffusers import AttentionCapture
    except ImportError as error:
        print(f"attention-map-diffusers isn't measured ({error}); pip install --no-deps brings it")
        return None
    return lambda pipeline: AttentionCapture(pipeline, relations=["image->text"], offload="cpu")


def find_castorini() -> Callable[[Any], Any] | None:
    """Return castorini/daam's trace where it is installed."""
    try:
        from daam import trace as castorini_trace
    except ImportError as error:
        print(f"castorini/daam isn't measured ({error}); the docstring says how to install it")
        return None
    return castorini_trace


def sd15_sized_pipeline() -> StableDiffusionPipeline:
    """Return a pipeline with Stable Diffusion 1.5's UNet, in random weights, and a small text encoder."""
    from tests.tiny_pipelines import tiny_sd, tiny_tokenizer

    tokenizer = tiny_tokenizer(max_length=77)
    text_config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=768, num_hidden_layers=1, num_attention_heads=12,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    unet = unet.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.fill_(1)
            else:
                parameter.uniform_(-0.02, 0.02, generator=generator)
    components = tiny_sd().components | {
        "unet": unet,
        "tokenizer": tokenizer,
        "text_encoder": CLIPTextModel(text_config).eval(),
        "scheduler": DDIMScheduler(clip_sample=False, steps_offset=1),
    }
    pipeline = StableDiffusionPipeline(**components, requires_safety_checker=False)
    pipeline.vae_scale_factor = 8
    return pipeline


def flux_sized_pipeline() -> Any:
    """Return a pipeline with one double and one single block of FLUX.1's size, in random bfloat16 weights.

    24 heads of 128 channels; 4,096 image and 512 text tokens at 1024x1024.
    """
    from diffusers import FluxTransformer2DModel

    from tests.tiny_diffusion_transformers import flux, kl

    pipeline = flux(guidance=False)
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=128,
        num_attention_heads=24,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=(16, 56, 56),
        guidance_embeds=False,
    )
    components = pipeline.components | {"transformer": transformer.eval(), "vae": kl(latent=16, levels=4)}
    return type(pipeline)(**components).to(torch.bfloat16)


if __name__ == "__main__":
    main()
