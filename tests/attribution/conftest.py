"""Tiny pipelines run fastest on one thread, above all where tests share the cores."""

import torch

torch.set_num_threads(1)
