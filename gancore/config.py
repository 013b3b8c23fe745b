"""TrainConfig: how long and how fast to train, and what to keep of it."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How long and how fast to train, and what to keep of it."""

    steps: int = 100_000
    """Generator updates in all."""

    batch: int = 16
    """Samples an update, over all processes and micro-batches together."""

    gradient_accumulation_steps: int = 1
    """Micro-batches an update is cut into, to save memory; the update stays the same."""

    discriminator_steps: int = 1
    """Discriminator updates, each on a batch of its own, to one generator update."""

    generator_lr: float = 2e-4
    """Adam's learning rate of the generator."""

    discriminator_lr: float = 2e-4
    """Adam's learning rate of the discriminator."""

    beta1: float = 0.0
    """Adam's momentum."""

    beta2: float = 0.99
    """Adam's memory of squared gradients."""

    warmup_steps: int = 100
    """Steps over which the learning rates rise from zero; without, Adam's first turns rounding into whole steps."""

    final_lr_fraction: float = 1.0
    """Share of the learning rates that is left at the last step, reached along a cosine."""

    max_grad_norm: float = 0.0
    """Largest norm of either player's gradient; 0 for no limit."""

    ema_decay: float = 0.999
    """Decay a step of the averaged generator, which is the one to use; it rises to this as (1 + n) / (10 + n)."""

    ema_start: int = 0
    """Steps before averaging begins; until then the average is the generator itself."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Mixed precision; "auto" takes bf16 where the device multiplies it quickly, and float32 elsewhere."""

    compile: bool = False
    """Compile both networks with torch.compile."""

    channels_last: bool = False
    """Keep weights and maps with channels last in memory."""

    seed: int = 0
    """Seed of everything random; with the step it determines the order of data and every number drawn."""

    log_every: int = 20
    """Steps from one line of stats.jsonl to the next."""

    preview_every: int = 500
    """Steps from one sample sheet to the next; 0 for none."""

    evaluate_every: int = 500
    """Steps from one evaluation of the average on held-out data to the next, and at the last step; 0 for none."""

    best_metric: str = ""
    """Which held-out score the average in best/ has the best of, such as "lowest held_out/mse"; empty for the usual."""

    health_every: int = 200
    """Steps from one look at how healthy both players are to the next; 0 watches the losses and gradients alone."""

    checkpoint_every: int = 500
    """Steps from one checkpoint to the next; one is also written at the end, on SIGTERM and on SIGINT."""

    keep_checkpoints: int = 2
    """Checkpoints kept; 0 keeps all."""

    max_minutes: float = 0.0
    """Stop cleanly, as on a signal, after so many minutes; 0 for no limit."""

    curves: bool = True
    """Draw curves.png with every checkpoint, but for at most a hundredth of the time."""

    tensorboard: bool = False
    """Also write TensorBoard events."""

    cpu: bool = False
    """Stay on the CPU even if there is a GPU."""

    def __post_init__(self) -> None:
        for name in (
            "steps",
            "batch",
            "gradient_accumulation_steps",
            "discriminator_steps",
            "log_every",
            "checkpoint_every",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must lie in [0, 1), got {self.ema_decay}")
        if self.best_metric and not self.best_metric.startswith(("lowest ", "highest ")):
            raise ValueError(
                f'best_metric must be "lowest NAME" or "highest NAME" of a held-out score, got {self.best_metric!r}'
            )

    def lr_factor(self, step: int) -> float:
        """The share of the learning rates in force at a step."""
        rise = min((step + 1) / self.warmup_steps, 1.0) if self.warmup_steps else 1.0
        fall = (1 + math.cos(math.pi * min(step / self.steps, 1.0))) / 2
        return rise * (self.final_lr_fraction + (1 - self.final_lr_fraction) * fall)
