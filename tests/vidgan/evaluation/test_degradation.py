"""Real clips made worse step by step: which scores see what, as the published comparisons of them say."""

from collections.abc import Callable
from functools import cache, partial
from importlib.resources import files

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from gancore.data import Sample
from gancore.features.network import FeatureNetwork
from gancore.metrics.distances import Moments, compute_fidelity, frechet_distance
from vidgan import metrics
from vidgan.data.dataset import open_dataset
from vidgan.data_config import VideoDataConfig
from vidgan.evaluation.networks import BoxMeans, open_network
from vidgan.files.video import read_clip
from vidgan.frames import resize_and_crop, to_float, to_uint8

FRAMES, SIDE = 10, 48


@cache
def real() -> Tensor:
    """Stretches of the bundled film in several places of its picture, in [-1, 1]."""
    film = read_clip(str(files("vidgan") / "assets" / "pedestrians.mp4")).frames
    film = resize_and_crop(film, 120, 160)
    places = [(6 * number, 12 + 20 * (number % 3), 30 * (number % 4)) for number in range(6)]
    cut = [film[first : first + FRAMES, :, y : y + SIDE, x : x + SIDE] for first, y, x in places]
    return to_float(torch.stack(cut))


def noise(clip: Tensor, strength: float) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return (clip + 2 * strength * torch.randn(clip.shape, generator=random)).clamp(-1, 1)


def blur(clip: Tensor, width: float) -> Tensor:
    if not width:
        return clip
    kernel = torch.exp(-(torch.arange(-6.0, 7) ** 2) / (2 * width**2))
    kernel = (kernel / kernel.sum())[None, None]
    rows = rearrange(clip, "b t c h w -> (b t c) 1 h w")
    rows = F.conv2d(F.pad(rows, (6, 6, 6, 6), "reflect"), kernel[..., None, :])
    return F.conv2d(rows, kernel[..., None]).view(clip.shape)


def freeze(clip: Tensor, share: float) -> Tensor:
    """The end of the clip stands still, as much of it as that share."""
    moving = max(1, round(FRAMES * (1 - share)))
    return torch.cat([clip[:, :moving], clip[:, moving - 1 : moving].expand(-1, FRAMES - moving, -1, -1, -1)], 1)


def shuffle(clip: Tensor, share: float) -> Tensor:
    """Frames change places, by at most that share of the clip."""
    places = torch.arange(FRAMES) + share * FRAMES * torch.rand(FRAMES, generator=torch.Generator().manual_seed(0))
    return clip[:, places.argsort()]


STEPS: dict[str, tuple[Callable[[Tensor, float], Tensor], tuple[float, ...]]] = {
    "noise": (noise, (0.0, 0.04, 0.08, 0.16)),
    "blur": (blur, (0.0, 0.7, 1.5, 3.0)),
    "frozen": (freeze, (0.0, 0.3, 0.6, 1.0)),
    "shuffled": (shuffle, (0.0, 0.3, 0.6, 1.0)),
}


def series(damage: str, score: Callable[[Tensor], float]) -> Tensor:
    """The score of the clips after each step of the damage."""
    apply, strengths = STEPS[damage]
    return torch.tensor([score(apply(real(), strength)) for strength in strengths])


@pytest.mark.parametrize("damage", STEPS)
def test_scores_of_frames_worsen_with_every_step(damage):
    def overall(metric: Callable[[Tensor, Tensor], Tensor], clip: Tensor) -> float:
        return float(metric(clip, real()).mean())

    assert (series(damage, partial(overall, metrics.mse_per_frame)).diff() > 0).all()
    for metric in (metrics.psnr, metrics.ssim, metrics.ms_ssim):
        assert (series(damage, partial(overall, metric)).diff() < 0).all(), metric.__name__


def test_sharpness_falls_with_blur_and_rises_with_noise():
    def sharpness(clip: Tensor) -> float:
        return float(metrics.sharpness(clip).mean())

    assert (series("blur", sharpness).diff() < 0).all()
    assert (series("noise", sharpness).diff() > 0).all()
    assert series("shuffled", sharpness).diff().abs().max() < 1e-6  # it sees no time


def test_motion_falls_as_more_of_a_clip_stands_still_and_rises_as_frames_change_places():
    def motion(clip: Tensor) -> float:
        return float(metrics.motion(clip).mean())

    frozen = series("frozen", motion)
    assert (frozen.diff() < 0).all()
    assert frozen[-1] == 0
    shuffled = series("shuffled", motion)
    assert (shuffled[1:] > shuffled[0]).all()


@pytest.mark.parametrize("damage", ["noise", "blur"])
def test_sets_of_clips_part_with_every_step_of_damage_to_frames(damage):
    """In raw pixels, for which every distance and share is exact."""
    rows = rearrange(real()[:, ::3, :, ::4, ::4], "b t c h w -> b (t c h w)")

    def apart(name: str, clip: Tensor) -> float:
        made = rearrange(clip[:, ::3, :, ::4, ::4], "b t c h w -> b (t c h w)")
        return compute_fidelity(rows, made)[name]

    for name in ("frechet_distance", "wasserstein"):
        assert (series(damage, partial(apart, name)).diff() > 0).all(), name


def test_colours_in_boxes_see_a_clip_that_stands_still():
    network = BoxMeans()
    true = Moments.from_features(network(to_uint8(real())))
    found = series("frozen", lambda clip: frechet_distance(true, Moments.from_features(network(to_uint8(clip)))))
    assert (found.diff() > 0).all()


@pytest.mark.slow
def test_a_video_network_sees_broken_motion_that_a_network_of_frames_hardly_sees():
    try:
        video, frames = open_network("transnet"), open_network("efficientnet")
    except FileNotFoundError as error:
        pytest.skip(str(error))
    dataset = open_dataset(VideoDataConfig(channels=3, clip_frames=FRAMES, context_frames=0), split="test")
    digits = to_float(torch.stack([dataset[Sample(number, 0)][0] for number in range(4)]))

    def moments(network: FeatureNetwork, clip: Tensor) -> Moments:
        return Moments.from_features(network(to_uint8(clip[:, 4::5] if network.per_frame else clip)))

    true = {network: moments(network, digits) for network in (video, frames)}

    def apart(network: FeatureNetwork, damage: str, step: int) -> float:
        apply, strengths = STEPS[damage]
        return frechet_distance(true[network], moments(network, apply(digits, strengths[step])))

    still = {network: apart(network, "frozen", 3) for network in true}
    noisy = {network: apart(network, "noise", 3) for network in true}
    assert still[video] / noisy[video] > 3 * still[frames] / noisy[frames]
    assert 0 < apart(video, "frozen", 1) < still[video]
    assert 0 < apart(video, "shuffled", 1) < apart(video, "shuffled", 3)
