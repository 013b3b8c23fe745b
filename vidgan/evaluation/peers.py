"""Standard frame predictors trained by squared error: learned baselines of equal size.

Letters in einops patterns: b clip of the batch, t frame, c channel, h and w rows and columns.
"""

import math
import time
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.utils.data import DataLoader

from gancore.data import EndlessBatches
from vidgan.data.batch import ClipBatch, collate
from vidgan.data.dataset import ClipDataset
from vidgan.evaluation.baselines import Future, Past

PeerName = Literal["convlstm", "simvp"]

PATCH = 4
"""Side in pixels of the patches that frames are folded into, and the stride of an encoder; sizes are padded to it."""
CONVLSTM_LAYERS = 3
SIMVP_BLOCKS = 4
INCEPTION_KERNELS = (3, 5, 7, 11)
"""Kernel sizes of the parallel convolutions of an Inception block."""
INCEPTION_GROUPS = 8
"""Groups of these convolutions."""


class ConvLSTMCell(nn.Module):
    """An LSTM whose products are convolutions (Shi et al. 2015, equation 3, without peepholes)."""

    def __init__(self, in_channels: int, width: int, *, kernel: int = 5):
        super().__init__()
        self.width = width
        self.gates = nn.Conv2d(in_channels + width, 4 * width, kernel, padding=kernel // 2)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        """Return the new (hidden, cell) state, (batch, width, height, width of the map); None is a state of zeros."""
        hidden, cell = state or (x.new_zeros(len(x), self.width, *x.shape[2:]),) * 2
        enter, forget, leave, new = self.gates(torch.cat([x, hidden], 1)).chunk(4, 1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        return leave.sigmoid() * cell.tanh(), cell


class ConvLSTM(nn.Module):
    """Stacked ConvLSTM layers on 4x4 patches, which read the past and then their own predictions (Shi et al. 2015)."""

    def __init__(self, *, channels: int, width: int):
        super().__init__()
        folded = channels * PATCH**2
        inputs = [folded] + [width] * (CONVLSTM_LAYERS - 1)
        self.cells = nn.ModuleList(ConvLSTMCell(count, width) for count in inputs)
        self.to_patches = nn.Conv2d(width, folded, 1)

    def forward(self, past: Past, steps: int) -> Future:
        states: list[tuple[Tensor, Tensor] | None] = [None] * len(self.cells)
        given = [F.pixel_unshuffle(frame, PATCH) for frame in past.unbind(1)]
        future: list[Tensor] = []
        for number in range(len(given) + steps - 1):
            x = given[number] if number < len(given) else future[-1]
            for layer, cell in enumerate(self.cells):
                states[layer] = x, _ = cell(x, states[layer])
            if number >= len(given) - 1:
                future.append(self.to_patches(x))
        return torch.stack([F.pixel_shuffle(frame, PATCH) for frame in future], 1)


def normalised(convolution: nn.Module, width: int) -> nn.Sequential:
    """A convolution, group normalisation and SiLU."""
    return nn.Sequential(convolution, nn.GroupNorm(2, width), nn.SiLU())


class InceptionBlock(nn.Module):
    """A residual block of parallel grouped convolutions of several sizes (Gao et al. 2022, section 3.2)."""

    def __init__(self, width: int):
        super().__init__()
        self.narrow = nn.Conv2d(width, width, 1)
        self.branches = nn.ModuleList(
            normalised(nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=INCEPTION_GROUPS), width)
            for kernel in INCEPTION_KERNELS
        )

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.narrow(x)
        return x + sum(branch(narrow) for branch in self.branches)


class SimVP(nn.Module):
    """Convolutions alone: an encoder of frames, a translator of all of them at once, a decoder (Gao et al. 2022).

    Every future frame is decoded beside the finest features of the last past frame. Past and future have the lengths
    that it was built for.
    """

    def __init__(self, *, channels: int, width: int, context_frames: int, steps: int):
        super().__init__()
        self.fine = normalised(nn.Conv2d(channels, width, 3, padding=1), width)
        self.coarse = nn.Sequential(
            normalised(nn.Conv2d(width, width, 3, stride=2, padding=1), width),
            normalised(nn.Conv2d(width, width, 3, stride=2, padding=1), width),
        )
        hidden = 4 * width
        self.translator = nn.Sequential(
            nn.Conv2d(context_frames * width, hidden, 1),
            *(InceptionBlock(hidden) for _ in range(SIMVP_BLOCKS)),
            nn.Conv2d(hidden, steps * width, 1),
        )
        self.upsample = nn.Sequential(
            *(
                normalised(nn.Sequential(nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2)), width)
                for _ in range(2)
            )
        )
        self.to_frame = nn.Conv2d(2 * width, channels, 3, padding=1)

    def forward(self, past: Past, steps: int) -> Future:
        count, given = past.shape[:2]
        fine = self.fine(rearrange(past, "b t c h w -> (b t) c h w"))
        coarse = rearrange(self.coarse(fine), "(b t) c h w -> b (t c) h w", t=given)
        hidden = rearrange(self.translator(coarse), "b (t c) h w -> (b t) c h w", t=steps)
        last = rearrange(fine, "(b t) c h w -> b t c h w", t=given)[:, -1]
        decoded = torch.cat([self.upsample(hidden), repeat(last, "b c h w -> (b t) c h w", t=steps)], 1)
        return rearrange(self.to_frame(decoded), "(b t) c h w -> b t c h w", b=count)


def build_peer(name: PeerName, *, parameters: int, channels: int, context_frames: int, steps: int) -> nn.Module:
    """Build the network whose number of parameters is nearest to `parameters`, by its width, an even number."""

    def build(width: int) -> nn.Module:
        if name == "convlstm":
            return ConvLSTM(channels=channels, width=width)
        return SimVP(channels=channels, width=width, context_frames=context_frames, steps=steps)

    def distance(width: int) -> int:
        with torch.device("meta"):
            return abs(count_parameters(build(width)) - parameters)

    width = 2
    while distance(width + 2) < distance(width):
        width += 2
    return build(width)


def count_parameters(network: nn.Module) -> int:
    """Count the numbers that are learned."""
    return sum(parameter.numel() for parameter in network.parameters())


def predict_frames(network: nn.Module, past: Past, steps: int) -> Future:
    """Predict the future of clips of any size: edges are repeated up to the next multiple of PATCH, and cut off."""
    height, width = past.shape[-2:]
    pad = (0, -width % PATCH, 0, -height % PATCH)
    padded = F.pad(past.flatten(0, 1), pad, mode="replicate").unflatten(0, past.shape[:2])
    return network(padded, steps)[..., :height, :width]


def train_peer(
    network: nn.Module,
    dataset: ClipDataset,
    *,
    context_frames: int,
    minutes: float,
    steps: int | None = None,
    batch: int = 8,
    learning_rate: float = 1e-3,
    workers: int = 0,
    seed: int = 0,
) -> tuple[int, float]:
    """Train a network by the mean squared error of all future frames; return the updates and the last error.

    Adam, whose learning rate falls to 0 along a cosine; gradients are cut to a norm of 1.

    Args:
        network: Called with a past and the number of frames to predict; trained where it lies, left in eval mode.
        dataset: Clips to train on.
        context_frames: Past frames at the start of each clip.
        minutes: Time of the training, reading of clips included.
        steps: Updates after which it ends sooner; no limit if None.
        batch: Clips in an update.
        learning_rate: Learning rate at the start.
        workers: Processes that read clips; 0 reads in this one.
        seed: Seed of the order of the clips, and of how they are cut.
    """
    device = next(network.parameters()).device
    optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate)
    loader: DataLoader[ClipBatch] = DataLoader(
        dataset,  # type: ignore[arg-type]
        batch_sampler=EndlessBatches(len(dataset), batch_size=batch, seed=seed),
        collate_fn=partial(collate, context_frames=context_frames),
        num_workers=workers,
    )
    network.train()
    start, done, error = time.monotonic(), 0, float("nan")
    for clips in loader:
        elapsed = (time.monotonic() - start) / (60 * minutes)
        progress = elapsed if steps is None else done / steps
        if elapsed >= 1 or progress >= 1:
            break
        optimiser.param_groups[0]["lr"] = learning_rate * (1 + math.cos(math.pi * progress)) / 2
        clips = clips.to(device)
        loss = F.mse_loss(predict_frames(network, clips.past, clips.future.shape[1]), clips.future)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        done, error = done + 1, float(loss.detach())
    network.eval()
    return done, error
