"""The parts of a heat map: single cross-attention layers, and steps of the generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from daam_bench.attribution.layout import Layer
from daam_bench.types.errors import InputError

Kind = Literal["all", "layer", "steps", "timestep"]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the attention that a heat map of its own is made from.

    Attributes:
        kind: "all" for DAAM as it is, "layer" for one cross-attention layer over all steps; and DAAM's own
            layers over "steps", consecutive ones of the generation, or at one training "timestep" of an image
            that no model generated.
        name: The layer's name in the UNet, "0-9" for steps, or the training time step.
        label: Its short name.
        steps: How many inference steps its maps are sums over.
        selection: What `trace` is to add up.
    """

    kind: Kind
    name: str
    label: str
    steps: float
    selection: Mapping[str, Any] = field(default_factory=dict, compare=False)


def calls_of_steps(first: int, end: int, *, steps: int, calls: int) -> list[int]:
    """Return which of the denoiser's calls belong to the steps from `first` until before `end`.

    Schedulers of higher order call the denoiser more often than they make steps. Call i of n belongs to step
    floor(i * steps / n): so it is with Stable Diffusion's PNDM, whose first step takes two calls, and with
    Heun's, all of whose steps but the last take two.

    >>> calls_of_steps(0, 2, steps=4, calls=5)
    [0, 1, 2]
    """
    return [call for call in range(calls) if first <= call * steps // calls < end]


def generated_parts(
    layers: Mapping[str, Layer], usual: Sequence[str], *, steps: int, calls: int, bins: int
) -> list[Part]:
    """Return the parts of a generation: all, each layer, and bins of consecutive steps.

    Args:
        layers: The layers that can be traced, by name.
        usual: The blocks that are added up by default.
        steps: Number of inference steps.
        calls: Number of UNet calls that the scheduler makes of them.
        bins: Number of bins, as equal as can be.

    Raises:
        InputError: There are more bins than steps, or none.

    >>> parts = generated_parts({}, ("down", "up"), steps=4, calls=5, bins=2)
    >>> [(part.name, list(part.selection["steps"])) for part in parts[1:]]
    [('0-1', [0, 1, 2]), ('2-3', [3, 4])]
    """
    check_bins(bins, steps)
    parts = _whole_and_layers(layers, usual, float(steps))
    for index in range(bins):
        first, end = index * steps // bins, (index + 1) * steps // bins
        chosen = calls_of_steps(first, end, steps=steps, calls=calls)
        name = f"{first}-{end - 1}"
        parts.append(
            Part(
                "steps",
                name,
                f"steps {name}" if end - first > 1 else f"step {first}",
                len(chosen) * steps / calls,
                {"steps": chosen},
            )
        )
    return parts


def check_bins(bins: int, steps: int) -> None:
    """Check that each bin gets a step.

    Raises:
        InputError: There are more bins than steps, or none.
    """
    if not 1 <= bins <= steps:
        raise InputError(f"--bins must lie between 1 and the {steps} inference steps, not {bins}")


def given_parts(layers: Mapping[str, Layer], usual: Sequence[str], timesteps: Sequence[int]) -> list[Part]:
    """Return the parts of a trace of given images: all, each layer, and each training time step.

    Args:
        layers: The layers that can be traced, by name.
        usual: The blocks that are added up by default.
        timesteps: The training time steps that the images are noised to.
    """
    single = [
        Part("timestep", str(timestep), f"time step {timestep}", 1.0, {"steps": (index,)})
        for index, timestep in enumerate(timesteps)
    ]
    return [*_whole_and_layers(layers, usual, float(len(timesteps))), *single]


def short_names(layers: Mapping[str, str]) -> dict[str, str]:
    """Return short names of layers, in their order.

    The numbers in a layer's name follow the block it belongs to, as many as it takes to tell the layer
    from all others.

    Args:
        layers: Name of each layer -> the block it belongs to.

    >>> layers = {"down_blocks.0.attentions.0": "down", "mid_block.attentions.0": "mid",
    ...           "up_blocks.1.attentions.0": "up", "up_blocks.1.attentions.1": "up"}
    >>> list(short_names(layers).values())
    ['down 0', 'mid', 'up 1.0', 'up 1.1']
    """
    numbers = {name: [word for word in name.split(".") if word.isdigit()] for name in layers}
    names = {}
    for name, block in layers.items():
        others = [numbers[other] for other in layers if other != name and layers[other] == block]
        length = 0 if block == "mid" else 1
        while length < len(numbers[name]) and any(o[:length] == numbers[name][:length] for o in others):
            length += 1
        names[name] = " ".join([block, ".".join(numbers[name][:length])]).strip()
    return names


def _whole_and_layers(layers: Mapping[str, Layer], usual: Sequence[str], steps: float) -> list[Part]:
    blocks = {name: layer.block for name, layer in layers.items()}
    singles = [
        Part("layer", name, label, steps, {"layers": (name,)}) for name, label in short_names(blocks).items()
    ]
    return [Part("all", "+".join(usual), f"all ({', '.join(usual)})", steps), *singles]
