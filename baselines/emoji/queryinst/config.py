"""A small QueryInst (ResNet-18 without its last stage, three stages, 20 queries) for the emoji world."""

classes = (
    "person", "car", "bus", "train", "boat", "bird", "cat", "dog", "sheep", "cow", "elephant", "bear",
    "zebra", "umbrella", "banana", "apple", "orange", "pizza", "donut", "cake", "chair", "bed", "laptop",
    "book", "clock",
)  # fmt: skip
metainfo = dict(classes=classes)
test_scale = (128, 128)

channels = 64
queries = 20
stages = 3

model = dict(
    type="QueryInst",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type="ResNet",
        depth=18,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
        base_channels=40,
        stem_channels=40,
        frozen_stages=-1,
        norm_cfg=dict(type="BN", requires_grad=True),
        norm_eval=False,
        style="pytorch",
        init_cfg=None,
    ),
    neck=dict(type="FPN", in_channels=[40, 80, 160], out_channels=channels, num_outs=4),
    rpn_head=dict(type="EmbeddingRPNHead", num_proposals=queries, proposal_feature_channel=channels),
    roi_head=dict(
        type="SparseRoIHead",
        num_stages=stages,
        stage_loss_weights=[1] * stages,
        proposal_feature_channel=channels,
        bbox_roi_extractor=dict(
            type="SingleRoIExtractor",
            roi_layer=dict(type="RoIAlign", output_size=7, sampling_ratio=1),
            out_channels=channels,
            featmap_strides=[4, 8, 16],
            finest_scale=28,
        ),
        mask_roi_extractor=dict(
            type="SingleRoIExtractor",
            roi_layer=dict(type="RoIAlign", output_size=14, sampling_ratio=1),
            out_channels=channels,
            featmap_strides=[4, 8, 16],
            finest_scale=28,
        ),
        bbox_head=[
            dict(
                type="DIIHead",
                num_classes=len(classes),
                num_ffn_fcs=2,
                num_heads=4,
                num_cls_fcs=1,
                num_reg_fcs=1,
                feedforward_channels=4 * channels,
                in_channels=channels,
                dropout=0.0,
                ffn_act_cfg=dict(type="ReLU", inplace=True),
                dynamic_conv_cfg=dict(
                    type="DynamicConv",
                    in_channels=channels,
                    feat_channels=16,
                    out_channels=channels,
                    input_feat_shape=7,
                    act_cfg=dict(type="ReLU", inplace=True),
                    norm_cfg=dict(type="LN"),
                ),
                loss_bbox=dict(type="L1Loss", loss_weight=5.0),
                loss_iou=dict(type="GIoULoss", loss_weight=2.0),
                loss_cls=dict(type="FocalLoss", use_sigmoid=True, gamma=2.0, alpha=0.9, loss_weight=2.0),
                bbox_coder=dict(
                    type="DeltaXYWHBBoxCoder",
                    clip_border=False,
                    target_means=[0.0, 0.0, 0.0, 0.0],
                    target_stds=[0.5, 0.5, 1.0, 1.0],
                ),
            )
            for _ in range(stages)
        ],
        mask_head=[
            dict(
                type="DynamicMaskHead",
                dynamic_conv_cfg=dict(
                    type="DynamicConv",
                    in_channels=channels,
                    feat_channels=8,
                    out_channels=channels,
                    input_feat_shape=14,
                    with_proj=False,
                    act_cfg=dict(type="ReLU", inplace=True),
                    norm_cfg=dict(type="LN"),
                ),
                num_convs=2,
                num_classes=len(classes),
                roi_feat_size=14,
                in_channels=channels,
                conv_kernel_size=3,
                conv_out_channels=channels,
                class_agnostic=False,
                norm_cfg=dict(type="BN"),
                upsample_cfg=dict(type="deconv", scale_factor=2),
                loss_mask=dict(type="DiceLoss", loss_weight=8.0, use_sigmoid=True, activate=False, eps=1e-5),
            )
            for _ in range(stages)
        ],
    ),
    train_cfg=dict(
        rpn=None,
        rcnn=[
            dict(
                assigner=dict(
                    type="HungarianAssigner",
                    match_costs=[
                        dict(type="FocalLossCost", weight=2.0),
                        dict(type="BBoxL1Cost", weight=5.0, box_format="xyxy"),
                        dict(type="IoUCost", iou_mode="giou", weight=2.0),
                    ],
                ),
                sampler=dict(type="PseudoSampler"),
                pos_weight=1,
                mask_size=28,
            )
            for _ in range(stages)
        ],
    ),
    test_cfg=dict(rpn=None, rcnn=dict(max_per_img=queries, mask_thr_binary=0.5)),
)

training = dict(
    steps=9000,
    batch_size=4,
    learning_rate=4e-4,
    weight_decay=0.01,
    warmup_steps=200,
    gradient_norm=1.0,
)
