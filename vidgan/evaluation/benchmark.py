"""What it costs to measure clips on the machine at hand, metric by metric, beside plain calls of libraries."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.registration import optical_flow_tvl1
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from gancore.benchmark import Comparison
from gancore.metrics import distances as fidelity
from gancore.metrics import neighbours
from vidgan import metrics
from vidgan.evaluation import baselines
from vidgan.evaluation.networks import open_network

CLIPS, FRAMES, SIDE, SAMPLES = 2, 16, 64, 4
"""Clips of FRAMES frames, and futures of each where a metric takes several."""
ROWS, WIDTH = 512, 400
"""Clips in each of two sets, and I3D's features of one."""
BENCHMARKED_NETWORKS = ("i3d", "transnet", "efficientnet")


def compare_frame_metrics() -> dict[str, Comparison]:
    """What is measured of every frame; the library takes one pair of frames after the other."""
    torch.manual_seed(0)
    true = torch.rand(CLIPS, FRAMES, 3, SIDE, SIDE) * 2 - 1
    samples = (true[:, None] + 0.1 * torch.randn(CLIPS, SAMPLES, *true.shape[1:])).clamp(-1, 1)
    made = samples[:, 0]
    library: dict[str, tuple[str, Callable[[], object]]] = {
        "psnr": (
            "scikit-image PSNR",
            partial(score_frame_by_frame, partial(peak_signal_noise_ratio, data_range=2), made, true),
        ),
        "ssim": (
            "scikit-image SSIM",
            partial(score_frame_by_frame, partial(structural_similarity, data_range=2, channel_axis=0), made, true),
        ),
        "optical-flow advection": ("scikit-image TV-L1 flow", partial(tvl1_flows, true)),
    }
    work: dict[str, Callable[[], object]] = {
        "mse_per_frame": partial(metrics.mse_per_frame, made, true),
        "psnr": partial(metrics.psnr, made, true),
        "ssim": partial(metrics.ssim, made, true),
        "ms_ssim": partial(metrics.ms_ssim, made, true),
        "sharpness": partial(metrics.sharpness, made),
        "motion": partial(metrics.motion, made),
        f"crps of {SAMPLES} samples": partial(metrics.crps, samples, true),
        f"diversity of {SAMPLES} samples": partial(metrics.diversity, samples),
        "optical-flow advection": partial(baselines.extrapolate_flow, true[:, :2], FRAMES - 2),
    }
    return {name: Comparison(each, CLIPS, *library.get(name, ())) for name, each in work.items()}


def score_frame_by_frame(score: Callable[..., float], made: Tensor, true: Tensor) -> list[float]:
    pairs = zip(made.flatten(0, 1).numpy(), true.flatten(0, 1).numpy(), strict=True)
    return [float(score(*pair, data_range=2)) for pair in pairs]


def tvl1_flows(true: Tensor) -> list[np.ndarray]:
    """The flow alone between the first two frames."""
    return [optical_flow_tvl1(*clip[:2].mean(1).numpy()) for clip in true]


def compare_networks() -> Iterator[tuple[str, Comparison]]:
    """Features of clips, by networks whose weights are there."""
    clips = torch.randint(256, (2, FRAMES, 3, SIDE, SIDE), dtype=torch.uint8)
    for name in BENCHMARKED_NETWORKS:
        try:
            network = open_network(name)
        except FileNotFoundError:
            continue
        yield f"features: {network.name}", Comparison(partial(network, clips), len(clips))


def compare_set_metrics() -> dict[str, Comparison]:
    """What compares two sets by features."""
    generator = torch.Generator().manual_seed(0)
    real, made = (torch.randn(ROWS, WIDTH, generator=generator) + shift for shift in (0.0, 0.1))
    a, b = real.double().numpy(), made.double().numpy()
    return {
        "Frechet distance": Comparison(
            partial(moments_frechet, real, made), ROWS, "SciPy sqrtm", partial(scipy_frechet, a, b)
        ),
        "kernel distance": Comparison(
            partial(fidelity.kernel_distance, real, made, subsets=10, size=ROWS // 2),
            ROWS,
            "scikit-learn kernels",
            partial(sklearn_kernels, a[: ROWS // 2], b[: ROWS // 2], times=10),
        ),
        "Wasserstein, exact": Comparison(
            partial(fidelity.wasserstein, real, made), ROWS, "SciPy assignment", partial(scipy_assignment, a, b)
        ),
        "Wasserstein, sliced": Comparison(partial(fidelity.sliced_wasserstein, real, made), ROWS),
        "precision and recall": Comparison(
            partial(fidelity.precision_recall, real, made),
            ROWS,
            "scikit-learn neighbours",
            partial(sklearn_radii, a, b),
        ),
        "density and coverage": Comparison(partial(fidelity.density_coverage, real, made), ROWS),
        "nearest training clips": Comparison(
            partial(neighbours.find_nearest, made, real),
            ROWS,
            "scikit-learn neighbours",
            partial(sklearn_nearest, b, a),
        ),
    }


def moments_frechet(real: Tensor, made: Tensor) -> float:
    return fidelity.frechet_distance(fidelity.Moments.from_features(real), fidelity.Moments.from_features(made))


Rows = Float[np.ndarray, "rows width"]


def scipy_frechet(a: Rows, b: Rows) -> float:
    """The formula as it is written."""
    product = sqrtm(np.cov(a.T) @ np.cov(b.T))
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return float(apart + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * np.real(product)))


def sklearn_kernels(a: Rows, b: Rows, *, times: int) -> None:
    for _ in range(times):
        for pair in ((a, a), (a, b), (b, b)):
            polynomial_kernel(*pair, degree=3, coef0=1)


def scipy_assignment(a: Rows, b: Rows) -> float:
    distances = cdist(a, b)
    return float(distances[linear_sum_assignment(distances)].mean())


def sklearn_radii(a: Rows, b: Rows) -> None:
    """The radii of both sets' neighbourhoods and all distances between them."""
    for rows in (a, b):
        NearestNeighbors(n_neighbors=4, algorithm="brute").fit(rows).kneighbors(rows)
    cdist(a, b)


def sklearn_nearest(a: Rows, b: Rows) -> None:
    NearestNeighbors(n_neighbors=3, algorithm="brute").fit(b).kneighbors(a)
