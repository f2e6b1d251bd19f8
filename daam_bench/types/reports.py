"""What scoring makes of predictions: scores, how they came to be, and the report that holds both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Interval

Fraction = Annotated[float, Interval(ge=0, le=1)]
"""A share, in [0, 1]. `daam_bench.files.outside.parse_record` checks it in what comes from outside."""

Track = Literal["generator", "other weights", "closed vocabulary", "tuned on masks"]
"""What a method uses: the model that made the images and nothing else; other weights, for any noun; other
weights, for the nouns of a fixed list; or ground-truth masks of the benchmark, whatever else it uses."""


@dataclass(frozen=True, slots=True)
class PairScore:
    """One row of `pairs.csv`: a pair's score.

    Attributes:
        id: Id of the example.
        noun: Index of the noun in the example.
        text: The noun as it stands in the prompt.
        coco_class: Its COCO-80 class, or None.
        tau: Threshold as a report writes it ("0.4"), or "none".
        iou: Intersection over union in [0, 1].
        iou_band: The same without the band along the ground truth's boundary; None where nothing of the
            ground truth lies outside it.
        leakage: Share of the prediction on other nouns; None for an empty prediction, and where no other noun
            of the image has a mask.
    """

    id: str
    noun: int
    text: str
    coco_class: str | None
    tau: str
    iou: float
    iou_band: float | None
    leakage: float | None


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Mean IoU in [0, 1] over the `pairs` pairs of one COCO class."""

    miou: Fraction
    pairs: int


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """mIoU of the heat maps thresholded at one tau; None where there is no pair."""

    miou_80: Fraction | None
    miou_inf: Fraction | None


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one method on one split at one tau: protocol "2", fractions in [0, 1].

    Attributes:
        miou_80: Mean IoU over the pairs whose noun has a COCO-80 class; None without such pairs.
        miou_inf: Mean IoU over all pairs; None without pairs.
        ci95_80: 95 % bootstrap interval (low, high) of `miou_80` over images; None without such pairs.
        ci95_inf: The same for `miou_inf`.
        pairs_80: Number of pairs behind `miou_80`.
        pairs_inf: Number of pairs behind `miou_inf`.
        coverage: Fraction of pairs with a non-empty prediction; None without pairs.
        per_class: COCO class -> its score, in COCO's order; classes without a pair are absent.
        average_precision: Pixel average precision of the heat maps, mean over pairs; None for a hard method.
        pointing_game: Fraction of pairs whose heat map peaks inside the ground truth; None for a hard method.
        miou_over_tau: Tau ("0.05" ... "0.95") -> mIoU of the thresholded heat maps; None for a hard method.
        images_80: Number of images behind `miou_80` and its interval; None where a report does not say.
        images_inf: The same for `miou_inf`.
        miou_band: Mean IoU without the band along the ground truth's boundary, see
            `daam_bench.scoring.mask_regions`; None without pairs, and where a report does not say.
        pairs_band: Number of pairs behind it; the others have nothing outside that band.
        leakage: Mean share of a prediction that lies on the image's other nouns, lower is better; None
            without such pairs, and where a report does not say.
        pairs_leakage: Number of pairs behind it: in images with other masked nouns, and not empty.
        map_leakage: Mean share of the heat maps' sums that lies there; None for a hard method.
        oracle_tau: The tau at which `miou_over_tau` is highest. It is chosen on the ground truth: nothing may
            be ranked by it. None for a hard method.
    """

    miou_80: Fraction | None
    miou_inf: Fraction | None
    ci95_80: tuple[Fraction, Fraction] | None
    ci95_inf: tuple[Fraction, Fraction] | None
    pairs_80: int
    pairs_inf: int
    coverage: Fraction | None
    per_class: Mapping[str, ClassScore]
    average_precision: Fraction | None = None
    pointing_game: Fraction | None = None
    miou_over_tau: Mapping[str, CurvePoint] | None = None
    images_80: int | None = None
    images_inf: int | None = None
    miou_band: Fraction | None = None
    pairs_band: int | None = None
    leakage: Fraction | None = None
    pairs_leakage: int | None = None
    map_leakage: Fraction | None = None
    oracle_tau: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """How and where a number came to be.

    Attributes:
        version: Version of daam-bench.
        commit: Git commit of the package's own checkout; None outside one.
        dirty: Whether that checkout had uncommitted changes; None outside one.
        python: Version of Python.
        libraries: Library -> version, for those installed.
        platform: Operating system and machine.
        device: What the method ran on ("cpu", "NVIDIA H200"); None if unknown.
        wall_seconds: Wall-clock time of the run; None if unknown, as that of a run that was resumed.
        images: Number of images that the run was over; None if unknown.
        denoiser_calls: Calls of a generator's denoiser for each image, in the method's own words; None if it
            says none.
        seeds: What was seeded ("method", "bootstrap") -> seed.
        limit: Only the first so many examples of each split were run; None for all of them.
        drifted: Images generated again that came out otherwise; None for a method that generates none.
        dataset_revision: Commit on the hub that the dataset was loaded from; None for a local one.
    """

    version: str
    commit: str | None
    dirty: bool | None
    python: str
    libraries: Mapping[str, str]
    platform: str
    device: str | None = None
    wall_seconds: float | None = None
    seeds: Mapping[str, int] = field(default_factory=dict)
    limit: int | None = None
    drifted: int | None = None
    dataset_revision: str | None = None
    images: int | None = None
    denoiser_calls: str | None = None

    @property
    def seconds_per_image(self) -> float | None:
        """Wall-clock seconds of the run for each of its images; None if unknown."""
        if self.wall_seconds is None or not self.images:
            return None
        return self.wall_seconds / self.images


@dataclass(frozen=True, slots=True)
class Proposals:
    """How much of a split's ground truth a program proposed and nobody has checked.

    Attributes:
        images: Number of images with proposed masks.
        of: Number of images of the split.
        by: Who proposed them, the programs' names in ABC order, separated by commas.
    """

    images: int
    of: int
    by: str


@dataclass(frozen=True, slots=True)
class MaskShares:
    """How the ground-truth masks of a split came to be: the share of each kind, in [0, 1].

    Attributes:
        proposed: Made by a method; nobody has looked.
        accepted: Looked at and left as proposed.
        edited: Proposed, then changed.
        own: Made without a proposal.
        unknown: The dataset does not say.
        unchanged: Method that proposed masks -> the share of all masks that stand as it proposed them.
    """

    proposed: Fraction = 0.0
    accepted: Fraction = 0.0
    edited: Fraction = 0.0
    own: Fraction = 0.0
    unknown: Fraction = 0.0
    unchanged: Mapping[str, Fraction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """A method's scores on a dataset, with how they came to be: what `report.json` holds.

    Attributes:
        protocol: Version of the scoring protocol, "2".
        method: Name of the method.
        parameters: Its parameters.
        track: What the method uses, as it says itself; None if it does not.
        tuned_on: The split whose masks a choice of the method was made on, as it says itself; None for none.
        partial: Whether nouns of a split were left out: never asked, or not in the first `limit` examples.
        dataset: Name, path or hub id of the dataset.
        fingerprint: Split -> fingerprint of its content.
        annotation: Split -> how its ground-truth masks came to be.
        environment: Versions, commit, device, time, seeds.
        splits: Split -> tau ("0.4", or "none" for hard masks) -> scores.
        proposals: Split -> how many of its masks are unchecked proposals; splits without any are absent.
    """

    protocol: str
    method: str
    parameters: Mapping[str, Any]
    track: Track | None = field(default=None, kw_only=True)
    tuned_on: str | None = field(default=None, kw_only=True)
    partial: bool = field(default=False, kw_only=True)
    dataset: str
    fingerprint: Mapping[str, str]
    annotation: Mapping[str, MaskShares] = field(default_factory=dict, kw_only=True)
    environment: Environment
    splits: Mapping[str, Mapping[str, Scores]]
    proposals: Mapping[str, Proposals] = field(default_factory=dict)
