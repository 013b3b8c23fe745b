"""Times the metrics of clips on this machine, compared with direct calls of libraries."""

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

from gancore.comparison import Comparison
from gancore.metrics import distances as fidelity
from gancore.metrics import neighbours
from vidgan import metrics
from vidgan.evaluation import baselines
from vidgan.evaluation.networks import open_network

CLIPS, FRAMES, SIDE, SAMPLES = 2, 16, 64, 4
"""Number of clips, their frames, height and width, and futures of each where a metric takes several."""
ROWS, WIDTH = 512, 400
"""Clips in each of two sets, and features of each clip, as many as I3D's."""
BENCHMARKED_NETWORKS = ("i3d", "transnet", "efficientnet")


def compare_frame_metrics() -> dict[str, Comparison]:
    """Return the metrics of single frames, with library calls that take one pair of frames after the other."""
    torch.manual_seed(0)
    true = torch.rand(CLIPS, FRAMES, 3, SIDE, SIDE) * 2 - 1
    samples = (true[:, None] + 0.1 * torch.randn(CLIPS, SAMPLES, *true.shape[1:])).clamp(-1, 1)
    generated = samples[:, 0]
    library: dict[str, dict[str, Callable[[], object]]] = {
        "psnr": {
            "scikit-image PSNR": partial(
                score_frame_by_frame, partial(peak_signal_noise_ratio, data_range=2), generated, true
            )
        },
        "ssim": {
            "scikit-image SSIM": partial(
                score_frame_by_frame, partial(structural_similarity, data_range=2, channel_axis=0), generated, true
            )
        },
        "optical-flow advection": {"scikit-image TV-L1 flow": partial(tvl1_flows, true)},
    }
    work: dict[str, Callable[[], object]] = {
        "mse_per_frame": partial(metrics.mse_per_frame, generated, true),
        "psnr": partial(metrics.psnr, generated, true),
        "ssim": partial(metrics.ssim, generated, true),
        "ms_ssim": partial(metrics.ms_ssim, generated, true),
        "sharpness": partial(metrics.sharpness, generated),
        "motion": partial(metrics.motion, generated),
        f"crps of {SAMPLES} samples": partial(metrics.crps, samples, true),
        f"diversity of {SAMPLES} samples": partial(metrics.diversity, samples),
        "optical-flow advection": partial(baselines.extrapolate_flow, true[:, :2], FRAMES - 2),
    }
    return {name: Comparison(each, CLIPS, library.get(name, {})) for name, each in work.items()}


def score_frame_by_frame(score: Callable[..., float], generated: Tensor, true: Tensor) -> list[float]:
    """Call a library's metric on one pair of frames after the other."""
    pairs = zip(generated.flatten(0, 1).numpy(), true.flatten(0, 1).numpy(), strict=True)
    return [float(score(*pair, data_range=2)) for pair in pairs]


def tvl1_flows(true: Tensor) -> list[np.ndarray]:
    """Compute only the flow between the first two frames."""
    return [optical_flow_tvl1(*clip[:2].mean(1).numpy()) for clip in true]


def compare_networks() -> Iterator[tuple[str, Comparison]]:
    """Yield the networks whose weights have been fetched."""
    clips = torch.randint(256, (2, FRAMES, 3, SIDE, SIDE), dtype=torch.uint8)
    for name in BENCHMARKED_NETWORKS:
        try:
            network = open_network(name)
        except FileNotFoundError:
            continue
        yield f"features: {network.name}", Comparison(partial(network, clips), len(clips))


def compare_set_metrics() -> dict[str, Comparison]:
    """Return the metrics that compare two sets by features."""
    generator = torch.Generator().manual_seed(0)
    real, generated = (torch.randn(ROWS, WIDTH, generator=generator) + shift for shift in (0.0, 0.1))
    a, b = real.double().numpy(), generated.double().numpy()
    return {
        "Frechet distance": Comparison(
            partial(moments_frechet, real, generated), ROWS, {"SciPy sqrtm": partial(scipy_frechet, a, b)}
        ),
        "kernel distance": Comparison(
            partial(fidelity.kernel_distance, real, generated, subsets=10, size=ROWS // 2),
            ROWS,
            {"scikit-learn kernels": partial(sklearn_kernels, a[: ROWS // 2], b[: ROWS // 2], times=10)},
        ),
        "Wasserstein, exact": Comparison(
            partial(fidelity.wasserstein, real, generated), ROWS, {"SciPy assignment": partial(scipy_assignment, a, b)}
        ),
        "Wasserstein, sliced": Comparison(partial(fidelity.sliced_wasserstein, real, generated), ROWS),
        "precision and recall": Comparison(
            partial(fidelity.precision_recall, real, generated),
            ROWS,
            {"scikit-learn neighbours": partial(sklearn_radii, a, b)},
        ),
        "density and coverage": Comparison(partial(fidelity.density_coverage, real, generated), ROWS),
        "nearest training clips": Comparison(
            partial(neighbours.find_nearest, generated, real),
            ROWS,
            {"scikit-learn neighbours": partial(sklearn_nearest, b, a)},
        ),
    }


def moments_frechet(real: Tensor, generated: Tensor) -> float:
    return fidelity.frechet_distance(fidelity.Moments.from_features(real), fidelity.Moments.from_features(generated))


Rows = Float[np.ndarray, "rows width"]


def scipy_frechet(a: Rows, b: Rows) -> float:
    """Compute the Frechet distance as the formula is written."""
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
    """Compute the radii of both sets' neighbourhoods and all distances between the sets."""
    for rows in (a, b):
        NearestNeighbors(n_neighbors=4, algorithm="brute").fit(rows).kneighbors(rows)
    cdist(a, b)


def sklearn_nearest(a: Rows, b: Rows) -> None:
    NearestNeighbors(n_neighbors=3, algorithm="brute").fit(b).kneighbors(a)
