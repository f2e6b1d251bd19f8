"""Methods with other weights on tiny random checkpoints in the published formats."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from daam_bench.run import main
from daam_bench.scoring.saved_report import read_report
from daam_bench.segmenters.grounded_sam import GroundedSam
from daam_bench.segmenters.owlv2_sam import Owlv2Sam
from daam_bench.segmenters.pretrained import square_pixels
from daam_bench.segmenters.sam3 import Sam3
from daam_bench.segmenters.sclip import SClip
from daam_bench.types import Noun, Query
from daam_bench.types.errors import InputError
from tests.segmenters import tiny_transformers as tiny

WORDS = ("cat", "hat", "dog", "pizza", "tree", "boat", "moon", "cake", "bird", "apple", "a", "photo", "of")
KINDS = ("sam3", "grounded-sam", "owlv2-sam", "sclip")

needs_sam3 = pytest.mark.skipif(
    not hasattr(transformers, "Sam3Model"), reason=f"transformers {transformers.__version__} has no SAM 3"
)
every_method = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=needs_sam3 if kind == "sam3" else ()) for kind in KINDS]
)


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """A folder with a model of each kind."""
    folder = tmp_path_factory.mktemp("models")
    tiny.write_clip(folder / "clip")
    tiny.write_owlv2(folder / "owlv2")
    tiny.write_sam2(folder / "sam2")
    tiny.write_grounding_dino(folder / "grounding-dino", WORDS)
    if hasattr(transformers, "Sam3Model"):
        tiny.write_sam3(folder / "sam3")
    return folder


def make(kind: str, models: Path, **options):
    made, model, given = {
        "sam3": (Sam3, "sam3", {}),
        "grounded-sam": (GroundedSam, "grounding-dino", {"sam": str(models / "sam2")}),
        "owlv2-sam": (Owlv2Sam, "owlv2", {"sam": str(models / "sam2")}),
        "sclip": (SClip, "clip", {"side": 32}),
    }[kind]
    return made(**{"model": str(models / model), "device": "cpu", **given, **options})


def query(*nouns: str, seed: int = 0, size: tuple[int, int] = (40, 24)) -> Query:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    found = tuple(Noun(word, word.removesuffix("s"), 0, 1, None) for word in nouns)
    return Query(f"q{seed}", " ".join(nouns), Image.fromarray(pixels), found, None, None)


@every_method
def test_what_it_says_of_itself_names_hub_id_and_licence(kind, models):
    method = make(kind, models)
    assert (method.name, method.track) == (kind, "other weights")
    assert "arXiv" in method.paper
    assert "/" in method.needs.partition("(")[2]
    assert any(licence in method.needs for licence in ("Apache-2.0", "MIT", "SAM License"))


@every_method
def test_a_result_does_not_depend_on_its_batch(kind, models):
    queries = [query("cats", "hat"), query(seed=1), query("dog", seed=2, size=(30, 30))]
    method = make(kind, models)
    together = method.segment(queries)
    assert [len(row) for row in together] == [2, 0, 1]
    for one, row in zip(queries, together, strict=True):
        for left, right in zip(method.segment([one])[0], row, strict=True):
            np.testing.assert_allclose(np.asarray(left), np.asarray(right), atol=1e-5)


@every_method
def test_the_main_job_runs_it(kind, models, tiny_dataset, tmp_path):
    target = {"sam3": "sam3:Sam3", "grounded-sam": "grounded_sam:GroundedSam"} | {
        "owlv2-sam": "owlv2_sam:Owlv2Sam",
        "sclip": "sclip:SClip",
    }
    model = {"grounded-sam": "grounding-dino", "owlv2-sam": "owlv2", "sclip": "clip"}.get(kind, kind)
    options = ["--method", f"daam_bench.segmenters.{target[kind]}", "--model", str(models / model)]
    options += ["--option", f"sam={models / 'sam2'}"] if kind.endswith("-sam") else []
    options += ["--option", "side=32"] if kind == "sclip" else []
    options += ["--dataset", str(tiny_dataset), "--split", "coco_gen", "--limit", "2", "--device", "cpu"]
    assert main([*options, "--output", str(tmp_path)]) == 0
    report = read_report(tmp_path / "report.json")
    assert (report.method, report.track) == (kind, "other weights")
    assert report.parameters["model"] == str(models / model)
    assert list(report.splits["coco_gen"]) == (["none"] if kind.endswith("-sam") else ["0.4"])


@every_method
def test_another_kind_of_model_is_told(kind, models):
    with pytest.raises(InputError, match=r"is a sam2, no .*; name one with --model"):
        make(kind, models, model=str(models / "sam2"))


@every_method
def test_a_template_without_a_place_for_the_noun_is_told(kind, models):
    with pytest.raises(InputError, match=r"template must have a place \{\} for the noun"):
        make(kind, models, template="a photo")


@every_method
def test_an_absent_model_is_told_in_one_line(kind, models, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"no model .* the hub can't be reached") as caught:
        make(kind, models, model="nobody/no-such-model-here")
    assert "\n" not in str(caught.value)


@needs_sam3
def test_the_heat_map_of_sam3_is_the_sigmoid_of_its_semantic_segmentation(models):
    from transformers import AutoTokenizer, Sam3Model

    asked = query("cats", "hat")
    model = Sam3Model.from_pretrained(models / "sam3").eval()
    pixels = square_pixels([asked.image], str(models / "sam3"))
    found = make("sam3", models, template="the {}").segment([asked])[0]
    for heat, text in zip(found, ("the cat", "the hat"), strict=True):
        words = AutoTokenizer.from_pretrained(models / "sam3")(
            text, padding="max_length", max_length=32, return_tensors="pt"
        )
        with torch.no_grad():
            logits = model(pixel_values=pixels, **words).semantic_seg[0, 0]
        np.testing.assert_allclose(np.asarray(heat), torch.sigmoid(logits).numpy(), atol=1e-5)
    assert np.abs(np.asarray(found[0]) - np.asarray(found[1])).max() > 2e-5


def test_an_image_of_squares_is_resized_and_normalised(models):
    grey = Image.new("RGB", (10, 30), (127, 127, 255))
    pixels = square_pixels([grey, grey], str(models / "sam2"))
    assert pixels.shape == (2, 3, 64, 64)
    assert pixels[:, :2].numpy() == pytest.approx((127 / 255 - 0.5) / 0.25, abs=1e-5)
    assert pixels[:, 2].numpy() == pytest.approx(2)


@pytest.mark.parametrize("kind", ["grounded-sam", "owlv2-sam"])
class TestDetectThenSegment:
    """The union of the masks of a noun's boxes."""

    def test_the_mask_of_a_noun_is_the_union_of_its_boxes_masks(self, kind, models, monkeypatch):
        method, asked = make(kind, models), query("cat", "hat", "dog")
        boxes = np.array([[1, 2, 20, 20], [10, 1, 39, 23], [0, 0, 8, 8]], dtype=np.float32)
        monkeypatch.setattr(method, "boxes", lambda image, texts: [boxes[:2], boxes[:0], boxes[2:]])
        cat, hat, dog = method.segment([asked])[0]
        alone = [self.by_sam2(models, asked.image, box) for box in boxes]
        assert np.array_equal(cat, alone[0] | alone[1])
        assert not hat.any()
        assert np.array_equal(dog, alone[2])
        assert any(mask.any() and not mask.all() for mask in alone)

    def by_sam2(self, models, image, box):
        """The mask of a box, of the model as published, without our code."""
        model = transformers.Sam2Model.from_pretrained(models / "sam2").eval()
        pixels = (np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR)) / 255 - 0.5) / 0.25
        scaled = box * np.array([64 / 40, 64 / 24] * 2)
        with torch.no_grad():
            masks = model(
                pixel_values=torch.tensor(pixels, dtype=torch.float32).permute(2, 0, 1)[None],
                input_boxes=torch.tensor(scaled, dtype=torch.float32)[None, None],
                multimask_output=False,
            ).pred_masks
        resized = torch.nn.functional.interpolate(masks[0], (24, 40), mode="bilinear")
        return (resized[0, 0] > 0).numpy()

    def test_boxes_below_the_score_are_left_out(self, kind, models):
        asked = query("cat", "hat")
        all_boxes = make(kind, models, score=0.0).boxes(asked.image, ["cat", "hat"])
        assert sum(map(len, all_boxes)) > 0
        assert all(boxes.shape[1:] == (4,) for boxes in all_boxes)
        method = make(kind, models, score=1.0, sam=str(models / "sam2"))
        assert [len(boxes) for boxes in method.boxes(asked.image, ["cat", "hat"])] == [0, 0]
        assert not any(mask.any() for mask in method.segment([asked])[0])

    def test_another_kind_of_model_in_place_of_sam_2_is_told(self, kind, models):
        with pytest.raises(InputError, match="is a clip, no sam2; name one with --option sam="):
            make(kind, models, sam=str(models / "clip"))


def test_the_boxes_of_grounding_dino_are_those_of_its_own_processor(models):
    asked, texts = query("cat"), ["cat.", "hat ."]
    found = make("grounded-sam", models, score=0.4).boxes(asked.image, texts)
    folder = models / "grounding-dino"
    model = transformers.GroundingDinoForObjectDetection.from_pretrained(folder).eval()
    processor = transformers.GroundingDinoProcessor.from_pretrained(folder)
    for boxes, text in zip(found, texts, strict=True):
        inputs = processor(images=asked.image, text=text, return_tensors="pt")
        with torch.no_grad():
            outputs = model(**inputs)
        scores = outputs.logits.sigmoid().max(dim=-1).values[0]
        centre, size = outputs.pred_boxes[0, scores > 0.4].chunk(2, dim=-1)
        corners = torch.cat([centre - size / 2, centre + size / 2], dim=-1) * torch.tensor([40, 24, 40, 24])
        np.testing.assert_allclose(boxes, corners.numpy(), atol=1e-3)


class TestSClip:
    """CLIP with another last layer."""

    def by_hand(self, models, asked, texts):
        """The shares of texts in each patch, from the formula, on the last layer's own weights."""
        model = transformers.CLIPModel.from_pretrained(models / "clip").eval()
        processor = transformers.CLIPProcessor.from_pretrained(models / "clip")
        pixels = processor.image_processor(
            images=asked.image, size={"height": 32, "width": 56}, do_center_crop=False, return_tensors="pt"
        )["pixel_values"]
        vision, layer = model.vision_model, model.vision_model.encoder.layers[-1]
        with torch.no_grad():
            hidden = vision(pixels, interpolate_pos_encoding=True, output_hidden_states=True).hidden_states[
                -2
            ]
            normal, rest = layer.layer_norm1(hidden)[0], layer.self_attn
            heads = [
                projection(normal).reshape(len(normal), 2, 8).permute(1, 0, 2).numpy().astype(np.float64)
                for projection in (rest.q_proj, rest.k_proj, rest.v_proj)
            ]
            attended = np.zeros((len(normal), 16))
            for head in range(2):
                q, k, v = (one[head] for one in heads)
                for one in (q, k):
                    weights = np.exp(one @ one.T / np.sqrt(8))
                    attended[:, 8 * head : 8 * head + 8] += weights / weights.sum(1, keepdims=True) @ v
            hidden = hidden[0] + rest.out_proj(torch.tensor(attended, dtype=torch.float32))
            hidden = hidden + layer.mlp(layer.layer_norm2(hidden))
            patches = model.visual_projection(vision.post_layernorm(hidden[1:]))
            words = processor.tokenizer(texts, padding=True, return_tensors="pt")
            embedded = model.text_projection(model.text_model(**words).pooler_output)
            cosines = torch.nn.functional.cosine_similarity(patches[:, None], embedded[None], dim=-1)
        return (40 * cosines).softmax(-1).reshape(4, 7, len(texts)).numpy()

    def test_the_heat_maps_are_those_of_the_formula(self, models):
        asked = query("cats", "hat")
        expected = self.by_hand(models, asked, ["a cat", "a hat", "a background"])
        found = make("sclip", models, template="a {}").segment([asked])[0]
        for place, heat in enumerate(found):
            np.testing.assert_allclose(np.asarray(heat), expected[..., place], atol=1e-4)

    def test_it_is_not_plain_clip_and_leaves_the_model_as_it_was(self, models):
        method = make("sclip", models)
        first = np.asarray(method.segment([query("cat")])[0][0])
        layer = method._loaded[0].vision_model.encoder.layers[-1].self_attn
        assert not layer._forward_hooks
        np.testing.assert_array_equal(first, np.asarray(method.segment([query("cat")])[0][0]))

    def test_templates_are_averaged_and_the_background_takes_its_share(self, models):
        one, two = (make("sclip", models, template=[text]) for text in ("a {}", "the {}"))
        both = make("sclip", models, template=["a {}", "the {}"])
        with torch.no_grad():
            mean = torch.nn.functional.normalize(one._embed("cat") + two._embed("cat"), dim=-1)
            torch.testing.assert_close(both._embed("cat"), mean)
        alone = make("sclip", models, background=()).segment([query("cat")])[0][0]
        assert np.asarray(alone) == pytest.approx(1)

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"background": "sky"}, "background must be a list"),
            ({"template": []}, "at least one template"),
            ({"side": 4}, "a side of at least 8"),
        ],
    )
    def test_bad_options_are_told(self, models, options, expected):
        with pytest.raises(InputError, match=expected):
            make("sclip", models, **options)
