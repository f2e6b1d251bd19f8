"""Tiny models of transformers with random weights, saved as published ones are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertTokenizer,
    CLIPConfig,
    CLIPModel,
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    CLIPTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Owlv2Config,
    Owlv2ForObjectDetection,
    PreTrainedModel,
    Sam2Config,
    Sam2HieraDetConfig,
    Sam2Model,
    Sam2VisionConfig,
    SwinConfig,
)

from tests.tiny_pipelines import tiny_tokenizer

SIDE = 32
"""Side of the images as the models see them."""


def write_clipseg(folder: Path) -> Path:
    """Write a CLIPSeg of a few thousand weights, its processor as that of CIDAS/clipseg-rd64-refined."""
    tokenizer = tiny_tokenizer()
    size = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 3}
    config = CLIPSegConfig(
        text_config={
            **size,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": tokenizer.model_max_length,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={**size, "image_size": SIDE, "patch_size": 8},
        projection_dim=16,
        reduce_dim=8,
        extract_layers=[0, 1, 2],
        decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
        conditional_layer=0,
    )
    torch.manual_seed(0)
    model = CLIPSegForImageSegmentation(config)
    with torch.no_grad():  # at their initial size the conditions hardly count
        for parameter in model.parameters():
            parameter.mul_(3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor = {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "feature_extractor_type": "ViTImageProcessor",
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "processor_class": "CLIPSegProcessor",
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"height": SIDE, "width": SIDE},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def write_mask2former(folder: Path, names: tuple[str, ...]) -> Path:
    """Write a small Mask2Former with a Swin backbone, its processor as those of facebook's are."""
    backbone = SwinConfig(
        image_size=SIDE,
        patch_size=4,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=32,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=32,
        num_queries=8,
        id2label=dict(enumerate(names)),
        label2id={name: label for label, name in enumerate(names)},
    )
    torch.manual_seed(0)
    Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)
    processor = {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "ignore_index": 255,
        "image_mean": [0.485, 0.456, 0.406],
        "image_processor_type": "Mask2FormerImageProcessor",
        "image_std": [0.229, 0.224, 0.225],
        "num_labels": len(names),
        "do_reduce_labels": False,
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"shortest_edge": SIDE, "longest_edge": 2 * SIDE},
        "size_divisor": 32,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def write_clip(folder: Path) -> Path:
    """Write a CLIP of a few thousand weights, its processor as that of openai/clip-vit-base-patch16."""
    tokenizer = tiny_tokenizer()
    config = CLIPConfig(
        text_config={**_SMALL, **_text_limits(tokenizer)},
        vision_config={**_SMALL, "image_size": SIDE, "patch_size": 8},
        projection_dim=16,
    )
    _save(CLIPModel(config), folder)
    tokenizer.save_pretrained(folder)
    record = _image_processor("CLIPImageProcessor", processor_class="CLIPProcessor")
    record |= {"do_center_crop": True, "crop_size": {"height": SIDE, "width": SIDE}}
    record |= {"do_convert_rgb": True, "size": {"shortest_edge": SIDE}}
    (folder / "preprocessor_config.json").write_text(json.dumps(record))
    return folder


def write_owlv2(folder: Path) -> Path:
    """Write a small OWLv2, its processor as that of google/owlv2-base-patch16-ensemble."""
    tokenizer = tiny_tokenizer(pad_token="!", max_length=16)
    config = Owlv2Config(
        text_config={**_SMALL, **_text_limits(tokenizer), "pad_token_id": 0},
        vision_config={**_SMALL, "image_size": SIDE, "patch_size": 8},
        projection_dim=16,
    )
    _save(Owlv2ForObjectDetection(config), folder)
    tokenizer.save_pretrained(folder)
    record = _image_processor("Owlv2ImageProcessor", processor_class="Owlv2Processor")
    (folder / "preprocessor_config.json").write_text(json.dumps({**record, "do_pad": True}))
    return folder


def write_grounding_dino(folder: Path, words: tuple[str, ...]) -> Path:
    """Write a small Grounding DINO that knows some words, its processor as IDEA-Research's."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", *words]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
    tokenizer = BertTokenizer(str(folder / "vocab.txt"), model_max_length=64)
    backbone = SwinConfig(
        image_size=SIDE,
        embed_dim=12,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        window_size=2,
        out_features=["stage2", "stage3", "stage4"],
    )
    text = BertConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        intermediate_size=32,
        num_attention_heads=2,
        num_hidden_layers=2,
        max_position_embeddings=64,
    )
    config = GroundingDinoConfig(
        backbone_config=backbone,
        text_config=text,
        d_model=64,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_queries=6,
        max_text_len=64,
        disable_custom_kernels=True,
    )
    _save(GroundingDinoForObjectDetection(config), folder)
    tokenizer.save_pretrained(folder)
    record = _image_processor("GroundingDinoImageProcessor", processor_class="GroundingDinoProcessor")
    record |= {"do_pad": True, "format": "coco_detection", "do_convert_annotations": True}
    record |= {"size": {"shortest_edge": 2 * SIDE, "longest_edge": 4 * SIDE}}
    (folder / "preprocessor_config.json").write_text(json.dumps(record))
    return folder


def write_sam2(folder: Path) -> Path:
    """Write a small SAM 2, its processor as that of facebook/sam2.1-hiera-tiny."""
    side = 2 * SIDE
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        num_attention_heads=1,
        image_size=[side, side],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 1, 1],
        window_size_per_stage=[4, 2, 2, 2],
        window_positional_embedding_background_size=[4, 4],
        global_attention_blocks=[3],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[side // 4, side // 4], [side // 8, side // 8], [side // 16, side // 16]],
        fpn_hidden_size=32,
    )
    config = Sam2Config(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 32, "image_size": side, "patch_size": 16},
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
    )
    _save(Sam2Model(config), folder)
    record = _image_processor("Sam2ImageProcessorFast", processor_class="Sam2Processor")
    record |= {"size": {"height": side, "width": side}, "mask_size": {"height": 16, "width": 16}}
    (folder / "preprocessor_config.json").write_text(json.dumps(record))
    return folder


def write_sam3(folder: Path) -> Path:
    """Write a small SAM 3, its processor as that of facebook/sam3."""
    from transformers import Sam3Config, Sam3Model

    tokenizer = tiny_tokenizer(max_length=32)
    side, patch = 56, 14
    cells = side // patch
    part = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32}
    config = Sam3Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam3_vit_model",
                **part,
                "num_hidden_layers": 2,
                "image_size": side,
                "patch_size": patch,
                "pretrain_image_size": side,
                "window_size": 2,
                "global_attn_indexes": [1],
            },
            "fpn_hidden_size": 32,
            "backbone_feature_sizes": [[4 * cells] * 2, [2 * cells] * 2, [cells] * 2],
        },
        text_config={**_SMALL, **_text_limits(tokenizer), "projection_dim": 16},
        geometry_encoder_config={**part, "num_layers": 1},
        detr_encoder_config={**part, "num_layers": 1},
        detr_decoder_config={**part, "num_layers": 1, "num_queries": 4},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
    )
    _save(Sam3Model(config), folder, scale=0.2)
    tokenizer.save_pretrained(folder)
    record = _image_processor("Sam3ImageProcessorFast", processor_class="Sam3Processor")
    record |= {"size": {"height": side, "width": side}, "mask_size": {"height": 16, "width": 16}}
    (folder / "preprocessor_config.json").write_text(json.dumps(record))
    return folder


_SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}


def _text_limits(tokenizer: CLIPTokenizer) -> dict[str, int]:
    return {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": tokenizer.model_max_length,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }


def _save(model: PreTrainedModel, folder: Path, scale: float = 0.3) -> None:
    """Save a model with random weights that are large enough to make a difference."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(folder)


def _image_processor(kind: str, processor_class: str) -> dict[str, Any]:
    return {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_processor_type": kind,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.25, 0.25, 0.25],
        "processor_class": processor_class,
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"height": SIDE, "width": SIDE},
    }
