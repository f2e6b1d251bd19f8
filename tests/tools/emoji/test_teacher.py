from types import SimpleNamespace

import pytest
import torch

from daam_bench.emoji import PIPELINE
from tools.emoji.teacher import Teacher

CPU = torch.device("cpu")


@pytest.fixture
def teacher():
    return Teacher(PIPELINE, CPU)


def test_a_noise_level_is_met_by_the_time_step_of_the_same_ratio_of_signal_to_noise(teacher):
    from diffusers import PNDMScheduler

    kept = PNDMScheduler.from_pretrained(PIPELINE / "scheduler").alphas_cumprod
    asked = torch.tensor([0.001, 0.05, 0.4, 0.9])
    steps, levels = teacher.nearest(asked)
    torch.testing.assert_close((1 - kept[steps]).sqrt() / kept[steps].sqrt(), levels / (1 - levels))
    assert (levels - asked).abs().max() < 0.03


def test_a_level_above_the_teachers_last_stays_and_has_no_time_step(teacher):
    steps, levels = teacher.nearest(torch.tensor([0.5, 0.99, 1.0]))
    assert steps.tolist()[1:] == [-1, -1]
    assert steps[0] >= 0
    assert levels.tolist()[1:] == pytest.approx([0.99, 1.0])


def test_what_a_perfect_teacher_predicts_is_noise_minus_latents(teacher):
    generator = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn(3, 8, 4, 4, generator=generator) for _ in range(2))
    steps, levels = teacher.nearest(torch.tensor([0.1, 0.5, 0.9]))
    kept = (((1 - levels) / levels) ** 2 / (1 + ((1 - levels) / levels) ** 2)).view(-1, 1, 1, 1)
    seen = []

    def predict(sample, timesteps, embeddings):
        assert timesteps.equal(steps)
        seen.append(sample)
        return SimpleNamespace(sample=kept.sqrt() * noise - (1 - kept).sqrt() * latents)

    teacher._unet = predict
    share = levels.view(-1, 1, 1, 1)
    velocity = teacher.velocity(
        torch.zeros(3, 24, dtype=torch.long), (1 - share) * latents + share * noise, steps
    )
    torch.testing.assert_close(velocity, noise - latents, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(seen[0], kept.sqrt() * latents + (1 - kept).sqrt() * noise)
