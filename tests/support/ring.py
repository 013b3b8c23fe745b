"""A small game that learns points on a ring, healthy as it stands, and can be made ill in many ways."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor, nn

from gancore.config import PenaltyConfig, TrainConfig
from gancore.hub import HubModel
from gancore.losses import compute_penalties, make_gan_loss
from gancore.training.launch import create_accelerator
from gancore.training.protocols import Update
from gancore.training.trainer import Trainer

MODES = 8


@dataclass(frozen=True)
class Pairs:
    """A batch of points, each with what is told of it."""

    context: Tensor
    points: Tensor

    def __len__(self) -> int:
        return len(self.points)

    def to(self, device: torch.device) -> "Pairs":
        return Pairs(self.context.to(device), self.points.to(device))


def collate(items) -> Pairs:
    return Pairs(*(torch.stack(parts) for parts in zip(*items, strict=True)))


class Ring:
    """Points near MODES places on a circle, and so many dimensions of noise; the context is the place, or nothing."""

    def __init__(self, size: int, *, seed: int, told: bool = False, scatter: float = 0.1, noise: int = 0):
        random = torch.Generator().manual_seed(seed)
        angle = 2 * torch.pi * torch.randint(MODES, (size,), generator=random) / MODES
        places = torch.stack([angle.cos(), angle.sin()], 1)
        self.context = places if told else torch.zeros(size, 2)
        near = places + scatter * torch.randn(size, 2, generator=random)
        self.points = torch.cat([near, torch.randn(size, noise, generator=random)], 1)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, sample):
        return self.context[sample.index], self.points[sample.index]


@dataclass(frozen=True, kw_only=True)
class Size:
    width: int = 32
    outputs: int = 2

    @property
    def latent(self) -> int:
        return 2 + self.outputs


def layers(inputs: int, outputs: int, width: int) -> nn.Sequential:
    hidden = nn.Linear(inputs, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2)
    return nn.Sequential(*hidden, nn.Linear(width, outputs))


class Points(HubModel):
    def __init__(self, size: Size):
        super().__init__(size)
        self.size = size
        self.layers = layers(2 + size.latent, size.outputs, size.width)

    def forward(self, context: Tensor, latent: Tensor) -> Tensor:
        return self.layers(torch.cat([context, latent], 1))


class Judge(nn.Module):
    def __init__(self, size: Size):
        super().__init__()
        self.layers = layers(2 + size.outputs, 1, size.width)

    def forward(self, context: Tensor, points: Tensor) -> Tensor:
        return self.layers(torch.cat([context, points], 1))[:, 0]


@dataclass(frozen=True, kw_only=True)
class RingGame:
    loss: str = "non-saturating"
    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=0.2, r2=0.2))
    adversarial: float = 1.0
    reconstruction: float = 0.0
    state: nn.Module = field(default_factory=nn.Module)

    def discriminator_update(self, generator, discriminator):
        terms = partial(self.discriminator_terms, generator, discriminator)
        return Update("discriminator", discriminator, terms)

    def generator_updates(self, generator, discriminator):
        return [Update("generator", generator, partial(self.generator_terms, generator, discriminator))]

    def discriminator_terms(self, generator, discriminator, batch, context):
        with torch.no_grad():
            fake = self.generate_outputs(generator, batch, context.rng, samples=1)[:, 0]
        critic = partial(discriminator, batch.context)
        loss = make_gan_loss(self.loss).discriminator_loss(critic(batch.points), critic(fake))
        due = compute_penalties(self.penalties, critic, batch.points, fake=fake, step=context.step, rng=context.rng)
        return {"adversarial": loss, **due}

    def generator_terms(self, generator, discriminator, batch, context):
        fake = self.generate_outputs(generator, batch, context.rng, samples=1)[:, 0]
        real, scores = (discriminator(batch.context, points) for points in (batch.points, fake))
        terms = {"adversarial": self.adversarial * make_gan_loss(self.loss).generator_loss(real, scores)}
        if self.reconstruction:
            terms["reconstruction"] = self.reconstruction * (fake - batch.points).square().mean()
        return terms

    def constrain_discriminator(self, discriminator):
        pass

    def real_outputs(self, batch):
        return batch.points

    def generate_outputs(self, generator, batch, draws, *, samples):
        latent = rearrange(draws.normal(len(batch), samples, generator.size.latent), "b n z -> (b n) z")
        return rearrange(generator(batch.context.repeat_interleave(samples, 0), latent), "(b n) c -> b n c", n=samples)

    def score_outputs(self, discriminator, batch, outputs, draws):  # noqa: ARG002 - all games have one signature
        return discriminator(batch.context, outputs)


def trainer(run: Path, game: RingGame | None = None, *, width: int = 32, data=None, **options) -> Trainer:
    """A training of `data` that takes a second or so."""
    quick = {
        **{"steps": 400, "batch": 32, "generator_lr": 2e-3, "discriminator_lr": 2e-3, "warmup_steps": 0, "cpu": True},
        **{"log_every": 4, "health_every": 20, "preview_every": 0, "curves": False},
    }
    config = TrainConfig(**quick | options)
    train_set = Ring(**{"size": 4000, "seed": 1} | (data or {}))
    held_out = Ring(**(data or {}) | {"size": 400, "seed": 2})
    torch.manual_seed(config.seed)
    size = Size(width=width, outputs=train_set.points.shape[1])
    return Trainer(
        run,
        config,
        generator=Points(size),
        discriminator=Judge(size),
        objective=game or RingGame(),
        dataset=train_set,
        held_out=held_out,
        collate=collate,
        accelerator=create_accelerator(config),
    )
