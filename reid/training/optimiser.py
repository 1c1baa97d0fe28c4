"""How fast which weights move, and when."""

from __future__ import annotations

import math
from typing import Any

import torch

from reid.training.recipe import Optimiser
from reid.training.trainee import Trainee


def make_optimiser(trainee: Trainee, settings: Optimiser) -> torch.optim.Optimizer:
    """AdamW with two rates: what begins from given weights or directions, and what begins new."""
    parts = (
        trainee.net.foreground,
        trainee.neck,
        trainee.classifier,
        trainee.foreground_neck,
        trainee.foreground_classifier,
    )
    new = [parameter for part in parts for parameter in part.parameters()]
    new_ids = {id(parameter) for parameter in new}
    known = [p for p in trainee.parameters() if p.requires_grad and id(p) not in new_ids]
    rate = settings.learning_rate
    peaks = ((known, rate), ([p for p in new if p.requires_grad], rate * settings.head_factor))
    groups: list[dict[str, Any]] = [{"params": params, "peak": peak, "lr": peak} for params, peak in peaks]
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay)


def set_rates(optimiser: torch.optim.Optimizer, settings: Optimiser, step: int, fraction: float) -> None:
    """Linear warm-up by steps, then the schedule by the fraction of the run that is over."""
    if settings.schedule == "cosine":
        factor = 0.5 + 0.5 * math.cos(math.pi * fraction)
    else:
        factor = 0.1 ** sum(fraction >= milestone for milestone in settings.milestones)
    factor *= min(1.0, (step + 1) / settings.warmup_steps)
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor
