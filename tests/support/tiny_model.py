"""A model of two dataclasses and a few weights, for the tests of saving and loading."""

from dataclasses import dataclass

import torch
from torch import nn

from gancore.hub import HubModel


@dataclass(frozen=True, kw_only=True)
class Shape:
    width: int = 4
    sides: tuple[int, ...] = (3, 3)


@dataclass(frozen=True, kw_only=True)
class Depth:
    layers: int = 2


class Model(HubModel):
    def __init__(self, shape: Shape, depth: Depth):
        super().__init__(shape, depth)
        self.layers = nn.Sequential(*(nn.Conv2d(shape.width, shape.width, shape.sides) for _ in range(depth.layers)))
        self.norm = nn.BatchNorm2d(shape.width)

    def forward(self, x):
        return self.norm(self.layers(x))


class Other(HubModel):
    def __init__(self, shape: Shape):
        super().__init__(shape)


def model() -> Model:
    torch.manual_seed(0)
    trained = Model(Shape(sides=(3, 1)), Depth(layers=3))
    trained(x())
    return trained


def x():
    return torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(1))
