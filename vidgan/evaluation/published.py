"""Published results, by benchmark and task, shown next to what is measured here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gancore.evaluation.published import PublishedTable
from vidgan.commands import BenchmarkName

LAYOUT_BENCHMARKS: dict[str, BenchmarkName] = {
    "kth": "kth",
    "bair": "bair",
    "kinetics600": "kinetics-600",
    "ucf101": "ucf-101",
}
"""The benchmark that a layout of a data set belongs to."""


@dataclass(frozen=True, kw_only=True)
class PublishedClipTable(PublishedTable):
    """Published results of one task on a benchmark."""

    benchmark: BenchmarkName
    context_frames: int
    future_frames: int
    """Frames predicted, or of a whole clip if there is no context."""
    height: int
    """Height of a frame in pixels."""


def _table(
    benchmark: BenchmarkName,
    context_frames: int,
    future_frames: int,
    height: int,
    protocol: str,
    columns: tuple[str, ...],
    rows: Mapping[str, Sequence[float | int | None]],
) -> PublishedClipTable:
    """A table whose protocol begins with its source, up to a semicolon."""
    source, _, rest = protocol.partition("; ")
    return PublishedClipTable(
        title=source,
        note=f"{rest[:1].upper()}{rest[1:]}." if rest else "",
        columns=columns,
        rows=rows,
        benchmark=benchmark,
        context_frames=context_frames,
        future_frames=future_frames,
        height=height,
    )


PUBLISHED_TABLES = (
    _table(
        "moving-mnist", 10, 10, 64,
        "OpenSTL, 200 epochs; its fixed test file of 10,000 clips, MSE summed over a frame of range one",
        ("mse_per_frame", "ssim"),
        {
            "ConvLSTM-S": (29.80, 0.9288), "PhyDNet": (28.19, 0.9374), "PredRNN": (23.97, 0.9462),
            "PredRNN++": (22.06, 0.9509), "MIM": (22.55, 0.9498), "SimVP (IncepU)": (32.15, 0.9268),
            "SimVP-gSTA": (26.69, 0.9402), "TAU": (24.60, 0.9454),
        },
    ),
    _table(
        "moving-mnist", 10, 10, 64,
        "OpenSTL, 2000 epochs; its fixed test file of 10,000 clips, MSE summed over a frame of range one",
        ("mse_per_frame", "ssim"),
        {
            "ConvLSTM-S": (22.41, 0.9480), "PhyDNet": (20.35, 0.9559), "PredRNN": (26.43, 0.9411),
            "PredRNN++": (14.07, 0.9698), "MIM": (14.73, 0.9678), "SimVP (IncepU)": (21.15, 0.9536),
            "SimVP-gSTA": (15.05, 0.9675), "TAU": (15.69, 0.9661),
        },
    ),
    _table(
        "kth", 10, 20, 128,
        "OpenSTL; MSE summed over a frame of range one",
        ("mse_per_frame", "ssim", "psnr", "lpips"),
        {
            "ConvLSTM": (47.65, 0.8977, 26.99, 0.2669), "PredRNN++": (39.84, 0.9124, 28.13, 0.1987),
            "PredRNN.V2": (39.57, 0.9099, 28.01, None), "SimVP": (41.11, 0.9065, 27.46, None),
            "TAU": (45.32, 0.9086, 27.10, None), "DMVFN": (None, None, None, 0.1284),
        },
    ),
    _table(
        "kth", 10, 30, 64,
        "10 frames to 30; best of 100 samples, FVD with the context in",
        ("fvd", "psnr", "ssim", "lpips"),
        {
            "SRVP": (222, 29.69, 0.8697, 0.0736), "SLAMP": (228, None, None, None), "SAVP": (374, None, None, None),
            "SVG-LP": (377, None, None, None), "SV2P": (636, None, None, None),
        },
    ),
    _table(
        "kth", 10, 40, 64,
        "10 frames to 40; the protocol of Grid-keypoints",
        ("fvd", "ssim", "psnr", "lpips"),
        {
            "Grid-keypoints": (144.2, 0.837, 27.11, 0.092), "SAVP-VAE": (145.7, None, None, None),
            "SVG-LP": (157.9, None, None, None), "SAVP": (183.7, None, None, None),
        },
    ),
    _table(
        "bair", 1, 15, 64,
        "1 frame to 15; FVD on all 16 frames, 256 test clips, main camera",
        ("fvd", "psnr", "ssim", "lpips"),
        {
            "MAGVIT-L": (62, 19.3, 0.787, 0.123), "MAGVIT-B": (76, None, None, None),
            "RaMViD": (84.2, None, None, None), "NÜWA": (86.9, None, None, None), "MCVD": (89.5, 16.9, 0.780, None),
            "FitVid": (93.6, None, None, None),
            "Video Transformer": (94, None, None, None), "Phenaki": (97, None, None, None),
            "CCVS": (99, None, None, None), "VideoGPT": (103.3, None, None, None),
            "TrIVD-GAN-FP": (103.3, None, None, None), "DVD-GAN-FP": (109.8, None, None, None),
            "LVT": (125.8, None, None, None),
        },
    ),
    _table(
        "bair", 2, 14, 64,
        "2 frames to 14; 256 test clips, main camera",
        ("fvd", "psnr", "ssim"),
        {
            "MCVD": (87.9, 19.1, 0.838), "SAVP": (116.4, None, None), "SV2P": (262.5, None, None),
            "CDNA": (296.5, None, None), "SVG-FP": (315.5, None, None),
        },
    ),
    _table(
        "bair", 2, 28, 64,
        "2 frames to 28; 256 test clips, main camera, PSNR, SSIM and LPIPS of the best of 100 samples",
        ("fvd", "psnr", "ssim", "lpips"),
        {
            "MCVD": (118.4, 16.2, 0.745, None), "Hier-VRNN": (143.4, None, None, None),
            "SAVP": (152, 18.44, 0.789, 0.0634), "SRVP": (162, 19.59, 0.820, 0.0574),
            "SLAMP": (245, None, None, None), "SVG": (255, 18.95, 0.806, 0.0609),
        },
    ),
    _table(
        "kinetics-600", 5, 11, 64,
        "5 frames to 11; FVD on all 16 frames, test clips of DVD-GAN-FP and TrIVD-GAN-FP said to be drawn with "
        "replacement",
        ("fvd",),
        {
            "LVT": (224.7,), "Video Transformer": (170,), "CogVideo": (109.2,), "DVD-GAN-FP": (69.1,),
            "VQ-VAE": (64.3,), "CCVS": (55,), "Phenaki": (36.4,), "TrIVD-GAN-FP": (25.7,), "Transframer": (25.4,),
            "MAGVIT-B": (24.5,), "RaMViD": (16.5,), "VDM": (16.2,), "RIN": (10.8,), "MAGVIT-L": (9.9,),
            "MAGVIT-v2": (4.3,), "W.A.L.T-L": (3.3,),
        },
    ),
    _table(
        "ucf-101", 0, 16, 128,
        "16 frames; as each paper has it (resolution, classes and whether test clips were trained on differ); the "
        "inception score is that of a C3D network, which is not the one measured here",
        ("inception score (C3D)", "fvd"),
        {
            "VGAN": (8.31, None), "TGAN": (11.85, None), "MoCoGAN": (12.42, None), "ProgressiveVGAN": (14.56, None),
            "LDVD-GAN": (22.91, None), "StyleGAN-V": (23.94, None), "VideoGPT": (24.69, None), "TGANv2": (28.87, 1209),
            "DIGAN": (29.71, 655), "DIGAN, with test split": (32.70, 577), "MoCoGAN-HD, with test split": (32.36, 838),
            "DVD-GAN, with test split, by class": (32.97, None), "VDM": (57.0, None), "TATS": (57.63, 420),
            "TATS, by class": (79.28, 332), "MAGVIT-L, by class": (89.27, 76),
        },
    ),
)  # fmt: skip


def find_published_tables(
    benchmark: BenchmarkName | None, *, context_frames: int, future_frames: int, height: int
) -> list[PublishedClipTable]:
    """Return the tables of the same task on the same benchmark at the same size; none if there are none."""
    task = (benchmark, context_frames, future_frames, height)
    return [
        table
        for table in PUBLISHED_TABLES
        if (table.benchmark, table.context_frames, table.future_frames, table.height) == task
    ]


def infer_benchmark(source: str, layout: str) -> BenchmarkName | None:
    """Return the benchmark that a data set is, by its name or layout; None if it is not a known one."""
    return "moving-mnist" if source == "moving-mnist" else LAYOUT_BENCHMARKS.get(layout)
