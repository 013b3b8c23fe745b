"""What training, predicting and reading clips cost here beside what else could be used.

Networks of peers have random weights and as many parameters as our generator; all sides see the same shapes.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancore.benchmark import count_parameters
from gancore.comparison import OURS, Comparison
from gancore.data import Sample
from gancore.training.launch import create_accelerator
from gancore.training.trainer import Trainer
from vidgan.benchmark import decode_window, make_noise_batch
from vidgan.build import build_discriminator, build_generator
from vidgan.config import VideoConfig
from vidgan.data.batch import collate
from vidgan.data.dataset import open_dataset
from vidgan.data_config import VideoDataConfig
from vidgan.evaluation.peers import PeerName, build_peer, predict_frames
from vidgan.files.video import open_video
from vidgan.networks.generator import FramePredictor
from vidgan.objective import VideoObjective

WINDOW = 16
"""Frames that are read at a time."""
DGMR_SHAPE = (1, 16, 1, 128, 128)
"""Clips, frames, channels, height and width of the step beside dgmr, which takes 4 past frames and sides of 128."""
DGMR_PAST = 4
MODULES = {"dgmr": "dgmr", "OpenCV": "cv2", "decord": "decord", "torchcodec": "torchcodec"}
"""Packages that join the comparison where they are installed, and what they are imported as."""


def compare_training(config: VideoConfig, folder: Path) -> Comparison:
    """Our training step, which may have an adversarial game, beside that of plain networks by squared error."""
    ours, players = _our_step(config, folder)
    data, count = config.data, count_parameters(players[0])
    batch = make_noise_batch(config).to(torch.device("cpu"))
    others: dict[str, Callable[[], object]] = {}
    parameters = {OURS: sum(map(count_parameters, players))}
    for name in get_args(PeerName):
        network = _build_peer(name, count, data)
        others[name] = partial(_peer_step, network, torch.optim.Adam(network.parameters()), batch.past, batch.future)
        parameters[name] = count_parameters(network)
    return Comparison(ours, len(batch.frames), others, parameters)


def compare_game(config: VideoConfig, folder: Path) -> Comparison | None:
    """One update of generator and discriminators beside those of dgmr, with anomaly detection off and on.

    None if dgmr is not installed.
    """
    package = find_package("dgmr")
    if package is None:
        return None
    clips, frames, channels, height, width = DGMR_SHAPE
    data = replace(
        config.data, channels=channels, height=height, width=width, clip_frames=frames, context_frames=DGMR_PAST
    )
    config = replace(config, data=data, train=replace(config.train, batch=clips, gradient_accumulation_steps=1))
    ours, players = _our_step(config, folder)
    theirs = package.DGMR(forecast_steps=frames - DGMR_PAST, input_channels=channels, output_shape=height)
    torch.autograd.set_detect_anomaly(False)  # which its constructor switches on for the whole process
    players_of_theirs = (theirs.discriminator, theirs.generator)
    optimisers = [torch.optim.Adam(player.parameters(), 1e-5) for player in players_of_theirs]
    step = partial(_dgmr_step, theirs, optimisers, torch.rand(DGMR_SHAPE))
    return Comparison(
        ours,
        clips,
        {"dgmr": step, "dgmr as shipped, with anomaly detection": partial(_with_anomaly_detection, step)},
        {OURS: sum(map(count_parameters, players)), "dgmr": count_parameters(theirs)},
    )


def compare_prediction(predictor: FramePredictor, *, height: int, width: int, steps: int) -> Comparison:
    """One future of one clip beside that by plain networks; an item is a frame."""
    shape = predictor.shape
    data = VideoDataConfig(
        channels=shape.channels,
        height=height,
        width=width,
        clip_frames=shape.context_frames + steps,
        context_frames=shape.context_frames,
    )
    past = torch.rand(1, shape.context_frames, shape.channels, height, width) * 2 - 1
    latent = torch.zeros(1, predictor.config.latent_dim)
    count = count_parameters(predictor)
    parameters, others = {OURS: count}, {}
    for name in get_args(PeerName):
        network = _build_peer(name, count, data).eval()
        others[name] = torch.inference_mode()(partial(predict_frames, network, past, steps))
        parameters[name] = count_parameters(network)
    ours = torch.inference_mode()(partial(predictor.eval(), past, latent, steps=steps))
    return Comparison(ours, steps, others, parameters)


def compare_reading(film: Path, *, side: int) -> Comparison:
    """Windows of a film as batches of small frames, beside decoders alone; an item is a window."""
    data = VideoDataConfig(
        path=str(film), height=side, width=side, clip_frames=WINDOW, context_frames=0, holdout_fraction=1.0
    )
    dataset = open_dataset(data, split="test")
    starts = range(0, open_video(str(film)).frames - WINDOW + 1, WINDOW)
    order = np.random.default_rng(0).permutation(len(starts)).tolist()

    def ours() -> None:
        for index in order:
            collate([dataset[Sample(index, 0)]], 0)

    others = {"PyAV, decoding alone": _each(decode_window, film, starts, order)}
    for name, decode in {"OpenCV": read_by_opencv, "decord": read_by_decord, "torchcodec": read_by_torchcodec}.items():
        if find_package(name):
            others[f"{name}, resized"] = _each(partial(decode, side=side), film, starts, order)
    return Comparison(ours, len(starts), others)


def compare_sizes(predictor: FramePredictor, sizes: Sequence[tuple[int, int, int]]) -> dict[str, Comparison]:
    """One future of one clip at several numbers of frames, heights and widths; an item is a million pixels."""
    shape, latent = predictor.shape, torch.zeros(1, predictor.config.latent_dim)
    found = {}
    for steps, height, width in sizes:
        past = torch.rand(1, shape.context_frames, shape.channels, height, width) * 2 - 1
        work = torch.inference_mode()(partial(predictor.eval(), past, latent, steps=steps))
        found[f"{steps} frames of {width}x{height}"] = Comparison(work, steps)
    return found


def find_package(name: str) -> Any | None:
    """The package if it is installed and can be imported."""
    try:
        return importlib.import_module(MODULES[name])
    except (ImportError, OSError, RuntimeError):  # decoders fail in their own ways without FFmpeg's libraries
        return None


def read_by_opencv(film: str, start: int, count: int, *, side: int) -> int:
    """Frames read by OpenCV, resized and turned from BGR to RGB."""
    cv2 = find_package("OpenCV")
    assert cv2
    capture = cv2.VideoCapture(film)
    capture.set(cv2.CAP_PROP_POS_FRAMES, start)
    frames = [capture.read()[1] for _ in range(count)]
    return len([cv2.cvtColor(cv2.resize(each, (side, side), interpolation=cv2.INTER_AREA), 4) for each in frames])


def read_by_decord(film: str, start: int, count: int, *, side: int) -> int:
    """Frames read by decord, which resizes while it converts."""
    decord = find_package("decord")
    assert decord
    reader = decord.VideoReader(film, width=side, height=side, num_threads=1)
    return int(reader.get_batch(range(start, start + count)).shape[0])


def read_by_torchcodec(film: str, start: int, count: int, *, side: int) -> int:
    """Frames read by torchcodec, resized by torch."""
    codec = find_package("torchcodec")
    assert codec
    decoder = importlib.import_module("torchcodec.decoders").VideoDecoder(film, num_ffmpeg_threads=1)
    frames: Tensor = decoder.get_frames_in_range(start, start + count).data
    return len(F.interpolate(frames.float(), (side, side), mode="area"))


def _each(
    decode: Callable[[str, int, int], int], film: Path, starts: Sequence[int], order: Sequence[int]
) -> Callable[[], None]:
    def read() -> None:
        for index in order:
            assert decode(str(film), starts[index], WINDOW) == WINDOW

    return read


def _our_step(config: VideoConfig, folder: Path) -> tuple[Callable[[], object], tuple[nn.Module, nn.Module]]:
    """A step of the training that the settings describe, on random pixels, and both players."""
    players = build_generator(config), build_discriminator(config)
    trainer = Trainer(
        folder,
        config.train,
        generator=players[0],
        discriminator=players[1],
        objective=VideoObjective(config.objective),
        dataset=(),
        collate=partial(collate, context_frames=config.data.context_frames),
        accelerator=create_accelerator(config.train),
    )
    trainer.step = 1  # one without a gradient penalty, which is due every few steps
    batch = make_noise_batch(config)
    return partial(trainer.train_step, repeat(batch)), players


def _build_peer(name: PeerName, parameters: int, data: VideoDataConfig) -> nn.Module:
    return build_peer(
        name,
        parameters=parameters,
        channels=data.channels,
        context_frames=data.context_frames,
        steps=data.clip_frames - data.context_frames,
    )


def _peer_step(network: nn.Module, optimiser: torch.optim.Optimizer, past: Tensor, future: Tensor) -> None:
    loss = F.mse_loss(predict_frames(network, past, future.shape[1]), future)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def _dgmr_step(model: Any, optimisers: Sequence[torch.optim.Optimizer], clip: Tensor) -> None:
    """One update of the discriminator and one of the generator by the hinge loss, with one future instead of six."""
    past = clip[:, :DGMR_PAST]
    for number, optimiser in enumerate(optimisers):
        made = torch.cat([past, model.generator(past)], 1)
        made = made.detach() if number == 0 else made
        true_scores, scores = model.discriminator(torch.cat([clip, made])).chunk(2)
        hinge = F.relu(1 - true_scores).mean() + F.relu(1 + scores).mean()
        loss = hinge if number == 0 else -scores.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def _with_anomaly_detection(step: Callable[[], None]) -> None:
    with torch.autograd.detect_anomaly():
        step()


def missing_packages() -> Mapping[str, str]:
    """Peers that are not installed, and what they are imported as."""
    return {name: module for name, module in MODULES.items() if find_package(name) is None}
