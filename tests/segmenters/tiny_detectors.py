"""Tiny detectors of MMDetection with random weights, from its own configs with their sizes cut down."""

from __future__ import annotations

from pathlib import Path

import mmdet
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

CLASSES = ("cat", "pizza", "dog")
SCALE = (64, 64)

_CONFIGS = Path(mmdet.__file__).parent / ".mim" / "configs"
_RESNET = {"depth": 18, "base_channels": 8, "stem_channels": 8, "frozen_stages": -1, "init_cfg": None}
_CHANNELS = 16


def write_detector(name: str, folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Write a config and random weights, and return their paths."""
    from mmdet.registry import MODELS

    config = {"mask_rcnn": _mask_rcnn, "queryinst": _queryinst, "mask2former": _mask2former}[name]()
    config.test_dataloader.dataset.metainfo = {"classes": CLASSES}
    for step in config.test_dataloader.dataset.pipeline:
        if step.type == "Resize":
            step.scale = SCALE
    folder.mkdir(parents=True, exist_ok=True)
    config.dump(folder / "config.py")
    init_default_scope("mmdet")
    torch.manual_seed(seed)
    model = MODELS.build(config.model)
    model.init_weights()
    torch.save(model.state_dict(), folder / "model.pth")
    return folder / "config.py", folder / "model.pth"


def _mask_rcnn() -> Config:
    config = Config.fromfile(_CONFIGS / "mask_rcnn/mask-rcnn_r101_fpn_1x_coco.py")
    model = config.model
    model.backbone.update(_RESNET)
    model.neck.update(in_channels=[8, 16, 32, 64], out_channels=_CHANNELS)
    model.rpn_head.update(in_channels=_CHANNELS, feat_channels=_CHANNELS)
    model.rpn_head.anchor_generator.scales = [4]
    heads = model.roi_head
    heads.bbox_roi_extractor.out_channels = heads.mask_roi_extractor.out_channels = _CHANNELS
    heads.bbox_head.update(in_channels=_CHANNELS, fc_out_channels=32, num_classes=len(CLASSES))
    heads.mask_head.update(
        in_channels=_CHANNELS, conv_out_channels=_CHANNELS, num_convs=1, num_classes=len(CLASSES)
    )
    model.test_cfg.rpn.update(nms_pre=50, max_per_img=30)
    return config


def _queryinst() -> Config:
    config = Config.fromfile(_CONFIGS / "queryinst/queryinst_r101_fpn_ms-480-800-3x_coco.py")
    model, stages, queries = config.model, 2, 8
    model.backbone.update(_RESNET)
    model.neck.update(in_channels=[8, 16, 32, 64], out_channels=_CHANNELS)
    model.rpn_head.update(num_proposals=queries, proposal_feature_channel=_CHANNELS)
    heads = model.roi_head
    heads.update(num_stages=stages, stage_loss_weights=[1] * stages, proposal_feature_channel=_CHANNELS)
    heads.bbox_roi_extractor.out_channels = heads.mask_roi_extractor.out_channels = _CHANNELS
    heads.bbox_head, heads.mask_head = heads.bbox_head[:stages], heads.mask_head[:stages]
    convolution = {"in_channels": _CHANNELS, "feat_channels": 8, "out_channels": _CHANNELS}
    for head in heads.bbox_head:
        head.update(num_classes=len(CLASSES), num_heads=2, feedforward_channels=32, in_channels=_CHANNELS)
        head.dynamic_conv_cfg.update(convolution)
    for head in heads.mask_head:
        head.update(num_classes=len(CLASSES), in_channels=_CHANNELS, conv_out_channels=_CHANNELS, num_convs=1)
        head.dynamic_conv_cfg.update(convolution)
    model.test_cfg.rcnn.max_per_img = queries
    return config


def _mask2former() -> Config:
    config = Config.fromfile(_CONFIGS / "mask2former/mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco.py")
    model, channels = config.model, 32
    model.backbone.update(
        embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2, init_cfg=None
    )
    head = model.panoptic_head
    head.update(
        in_channels=[8, 16, 32, 64],
        feat_channels=channels,
        out_channels=channels,
        num_queries=8,
        num_things_classes=len(CLASSES),
    )
    encoder = head.pixel_decoder.encoder
    encoder.num_layers = 1
    encoder.layer_cfg.self_attn_cfg.update(embed_dims=channels, num_heads=2)
    encoder.layer_cfg.ffn_cfg.update(embed_dims=channels, feedforward_channels=32)
    head.pixel_decoder.positional_encoding.num_feats = head.positional_encoding.num_feats = channels // 2
    decoder = head.transformer_decoder
    decoder.num_layers = 2
    for attention in ("self_attn_cfg", "cross_attn_cfg"):
        decoder.layer_cfg[attention].update(embed_dims=channels, num_heads=2)
    decoder.layer_cfg.ffn_cfg.update(embed_dims=channels, feedforward_channels=32)
    head.loss_cls.class_weight = [1.0] * len(CLASSES) + [0.1]
    model.panoptic_fusion_head.num_things_classes = len(CLASSES)
    model.test_cfg.max_per_image = 8
    return config
