"""The smallest game there is, and a trainer that plays it."""

import json
import math
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from gancore.config import TrainConfig
from gancore.hub import HubModel
from gancore.training.launch import create_accelerator
from gancore.training.protocols import Update
from gancore.training.trainer import Trainer

SIZE = 50
"""Items of the data set."""


@dataclass(frozen=True, kw_only=True)
class Width:
    width: int = 3


class Multiply(HubModel):
    """A generator with one weight a channel, and a buffer that counts its calls in training."""

    def __init__(self, width: Width):
        super().__init__(width)
        self.weight = nn.Parameter(torch.ones(width.width))
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
        return self.weight * x


class Judge(nn.Module):
    def __init__(self, width: int = 3):
        super().__init__()
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(torch.tanh(x))[:, 0]


@dataclass(frozen=True)
class Points:
    """A batch of points, each its own index in every channel."""

    values: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def to(self, device: torch.device) -> "Points":
        return Points(self.values.to(device))


def collate(items):
    return Points(torch.stack(items))


class Numbers:
    """Item i is i / SIZE in every channel; some of them cannot be read."""

    def __init__(self, width: int = 3, broken: tuple[int, ...] = ()):
        self.width, self.broken = width, broken

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, sample):
        if sample.index in self.broken:
            raise ValueError(f"item {sample.index} is broken")
        return torch.full((self.width,), sample.index / SIZE)


@dataclass(kw_only=True)
class Game:
    """A Wasserstein game with noise, that notes what it is given and can be told to misbehave at a step."""

    updates: list = field(default_factory=list)
    constrained: int = 0
    bound: float = math.inf
    at: dict = field(default_factory=dict)
    """What to do in the generator's update of a step."""
    poison: tuple[str, int, float] | None = None
    """A player, a step, and what its second term is then."""
    begins: int = 0
    """Steps before which the discriminator has no terms."""
    state: nn.Module = field(default_factory=nn.Module)

    def discriminator_update(self, generator, discriminator):
        terms = partial(self.discriminator_terms, generator, discriminator)
        return Update("discriminator", discriminator, terms)

    def generator_updates(self, generator, discriminator):
        return [Update("generator", generator, partial(self.generator_terms, generator, discriminator))]

    def _terms(self, player, generator, discriminator, batch, context):
        noise = context.rng.normal(len(batch), batch.values.shape[1]).to(batch.values)
        real, fake = discriminator(batch.values + 0.1 * noise), discriminator(generator(noise))
        weights = {"discriminator": discriminator.score.weight, "generator": generator.weight}
        trained = [name for name, weight in weights.items() if weight.requires_grad]
        self.updates.append((player, context, (batch.values[:, 0] * SIZE).round().long().tolist(), trained))
        sign = 1 if player == "discriminator" else -1
        terms = {"game": sign * (fake.mean() - real.mean())}
        if self.poison and self.poison[:2] == (player, context.step):
            terms["poisoned"] = fake.mean() * self.poison[2]
        return terms

    def discriminator_terms(self, generator, discriminator, batch, context):
        if context.step < self.begins:
            return {}
        return self._terms("discriminator", generator, discriminator, batch, context)

    def generator_terms(self, generator, discriminator, batch, context):
        if context.step in self.at:
            self.at[context.step]()
        return self._terms("generator", generator, discriminator, batch, context)

    def constrain_discriminator(self, discriminator):
        self.constrained += 1
        if self.bound < math.inf:
            for parameter in discriminator.parameters():
                parameter.data.clamp_(-self.bound, self.bound)


def settings(**options) -> TrainConfig:
    quick = {
        "steps": 6,
        "batch": 4,
        "log_every": 1,
        "preview_every": 0,
        "checkpoint_every": 2,
        "warmup_steps": 0,
        "curves": False,
        "cpu": True,
    }
    return TrainConfig(**quick | options)


def trainer(
    run: Path, game=None, *, width=3, weights=5, dataset=None, workers=0, double=False, looking=None, **options
):
    torch.manual_seed(weights)
    generator, discriminator = Multiply(Width(width=width)), Judge(width)
    config = settings(**options)
    return Trainer(
        run,
        config,
        generator=generator.double() if double else generator,
        discriminator=discriminator.double() if double else discriminator,
        objective=game or Game(),
        dataset=dataset or Numbers(width),
        collate=collate,
        workers=workers,
        **looking or {},
        accelerator=create_accelerator(config),
    )


def batches(of: Trainer):
    """What the trainer's loader yields, in the precision of its networks."""
    for batch in of._create_loader():
        yield Points(batch.values.to(of.generator.weight))


def play(of: Trainer, steps: int) -> list[dict[str, float]]:
    """The terms of some steps without log or checkpoint."""
    stream, terms = batches(of), []
    for _ in range(steps):
        of.train_step(stream)
        terms.append(of.recent_terms.take_means())
        of.step += 1
        of.progress = of.step / of.config.steps
    return terms


def tensors(state) -> dict[str, Tensor]:
    """Every tensor of a nested state by its path."""
    if isinstance(state, Tensor):
        return {"": state}
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list | tuple) else ()
    return {f"{key}/{path}": tensor for key, part in items for path, tensor in tensors(part).items()}


def same(a, b) -> bool:
    a, b = tensors(a), tensors(b)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
