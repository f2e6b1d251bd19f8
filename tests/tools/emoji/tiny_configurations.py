"""Configurations of generators so small that they train in a second."""

_TRAINING = """
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

UNET = f"""
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
heads = 2
[vae_training]
samples = 32
batch_size = 8
learning_rate = 1e-3
{_TRAINING}"""

SD3 = f"""
[world]
image_size = 64
seed = 0
[text_encoder]
width = 16
layers = 2
heads = 2
[text_encoder_2]
width = 8
layers = 2
heads = 2
[text_encoder_3]
width = 32
layers = 1
heads = 2
head_width = 8
mlp_width = 32
[transformer]
heads = 2
head_width = 16
layers = 2
patch = 2
{_TRAINING.replace("samples = 64", "samples = 16")}muon = 2.5
"""
