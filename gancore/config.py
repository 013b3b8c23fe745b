"""Settings shared by videos and voxels: training, adversarial loss, gradient penalties and augmentation.

Nothing here imports torch, so that commands print their help quickly.
"""

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

GanLossName = Literal[
    "minimax",
    "non-saturating",
    "least-squares",
    "wasserstein",
    "hinge",
    "relativistic",
    "relativistic-average",
    "energy",
    "equilibrium",
]
SMOOTHABLE_LOSSES: tuple[GanLossName, ...] = ("minimax", "non-saturating", "least-squares")
"""Adversarial losses with a target for real samples, which label smoothing can lower."""


ENERGY_LOSSES: tuple[GanLossName, ...] = ("energy", "equilibrium")
"""Adversarial losses whose scores are negative energies: the reconstruction errors of an autoencoder."""


def require_not_negative(config: Any, *names: str) -> None:
    """Raises ValueError that names the first of these fields that is negative, infinite or no number."""
    for name in names:
        if not 0 <= getattr(config, name) < math.inf:
            raise ValueError(f"{name} must not be negative or infinite, got {getattr(config, name)}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Length, optimisation, hardware use and outputs of a training run."""

    steps: int = 100_000
    """Total number of generator updates."""

    batch: int = 16
    """Samples per update, summed over all processes and micro-batches."""

    gradient_accumulation_steps: int = 1
    """Micro-batches per update, to save memory; the update itself stays the same."""

    discriminator_steps: int = 1
    """Discriminator updates per generator update, each on its own batch."""

    generator_lr: float = 2e-4
    """Learning rate of the generator (Adam)."""

    discriminator_lr: float = 2e-4
    """Learning rate of the discriminator (Adam)."""

    beta1: float = 0.0
    """Adam's decay rate of the running mean of the gradient."""

    beta2: float = 0.99
    """Adam's decay rate of the running mean of the squared gradient."""

    warmup_steps: int = 100
    """Steps over which the learning rates rise from zero; without warm-up, Adam's first steps amplify rounding
    errors."""

    final_lr_fraction: float = 1.0
    """Fraction of the learning rates left at the last step, reached by cosine decay."""

    max_grad_norm: float | None = None
    """Clip the gradient of each network to this norm; no limit by default."""

    ema_decay: float = 0.999
    """Decay per step of the generator's exponential moving average (EMA), warmed up as (1 + n) / (10 + n). The EMA
    weights are the ones saved in generator/."""

    ema_start: int = 0
    """Step at which the EMA begins; until then the EMA equals the generator."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Mixed precision; "auto" uses bf16 where the device is fast at it, and float32 elsewhere."""

    compile: bool = False
    """Compile both networks with torch.compile."""

    channels_last: bool = False
    """Store weights and feature maps in channels-last memory format."""

    seed: int = 0
    """Random seed; together with the step it determines data order and every random number."""

    log_every: int = 20
    """Steps between lines of stats.jsonl."""

    preview_every: int = 500
    """Steps between sample sheets; 0 draws none."""

    evaluate_every: int = 500
    """Steps between evaluations of the EMA on held-out data, also done at the last step; 0 never evaluates."""

    best_metric: str | None = None
    """Held-out score that decides which EMA weights are kept in best/, e.g. "lowest held_out/mse"; by default the
    score that the kind of model recommends."""

    health_every: int = 200
    """Steps between diagnostic checks; 0 checks only losses and gradient norms."""

    checkpoint_every: int = 500
    """Steps between checkpoints; one is also written at the end and on SIGTERM or SIGINT."""

    keep_checkpoints: int | None = 2
    """Number of latest checkpoints to keep; none keeps all."""

    max_minutes: float | None = None
    """Time limit in minutes: the learning rates reach their final values at that time, and training stops cleanly."""

    curves: bool = True
    """Draw curves.png with every checkpoint, in at most a hundredth of the training time."""

    trackers: tuple[str, ...] = ()
    """Experiment trackers that accelerate supports (tensorboard, wandb, mlflow, ...), in addition to stats.jsonl."""

    cpu: bool = False
    """Use the CPU even if there is a GPU."""

    start_from: str | None = None
    """Trained model whose weights initialise the generator: a run folder, a folder with a model, or a name on the Hub.
    Its networks must be the same; clips may differ in size and length. The discriminator is trained from scratch."""

    start_over: bool = False
    """Start again at step 0 in a run folder that already holds a run; everything there is moved to a subfolder
    before-1."""

    allow_changes: bool = False
    """Resume even if settings or data on which the weights depend differ from those the run was started with."""

    def __post_init__(self) -> None:
        for name in (
            "steps",
            "batch",
            "gradient_accumulation_steps",
            "discriminator_steps",
            "log_every",
            "checkpoint_every",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("keep_checkpoints", "max_minutes", "max_grad_norm"):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise ValueError(f"{name} must be above 0, got {value}; leave it out for no limit")
        rates = ("generator_lr", "discriminator_lr", "warmup_steps", "final_lr_fraction")
        require_not_negative(self, *rates, "ema_start", "preview_every", "evaluate_every", "health_every")
        if self.final_lr_fraction > 1:
            raise ValueError(f"final_lr_fraction must be at most 1, got {self.final_lr_fraction}")
        for name in ("beta1", "beta2", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        if self.best_metric and not self.best_metric.startswith(("lowest ", "highest ")):
            raise ValueError(
                f'best_metric must be "lowest NAME" or "highest NAME" of a held-out score, got {self.best_metric!r}'
            )

    def lr_factor(self, step: int, progress: float | None = None) -> float:
        """Factor on both learning rates at a step: a linear warm-up times a cosine decay.

        The decay follows `progress`, the fraction of the training that is done, by default step / steps.
        """
        progress = step / self.steps if progress is None else progress
        warmup = min((step + 1) / self.warmup_steps, 1.0) if self.warmup_steps else 1.0
        decay = (1 + math.cos(math.pi * min(progress, 1.0))) / 2
        return warmup * (self.final_lr_fraction + (1 - self.final_lr_fraction) * decay)


@dataclass(frozen=True, kw_only=True)
class PenaltyConfig:
    """Gradient penalties of the discriminator, computed in float32."""

    r1: float = 0.0
    """Gamma of R1: gamma / 2 times the squared gradient norm at real samples."""

    r2: float = 0.0
    """Gamma of R2: gamma / 2 times the squared gradient norm at generated samples."""

    gradient_penalty: float = 0.0
    """Lambda of WGAN-GP: pulls the gradient norm between real and generated samples towards 1."""

    lazy_every: int = 1
    """Apply the penalties only at every n-th discriminator update, n times as strongly."""

    finite_difference_sigma: float | None = None
    """Step of a finite difference that estimates R1 and R2 without second derivatives; exact gradients by default."""

    def __post_init__(self) -> None:
        for name, least in {"r1": 0, "r2": 0, "gradient_penalty": 0, "lazy_every": 1}.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.finite_difference_sigma is not None and not self.finite_difference_sigma > 0:
            raise ValueError(f"finite_difference_sigma must be above 0, got {self.finite_difference_sigma}")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Differentiable augmentation of everything the discriminator sees, after DiffAugment and ADA (both 2020)."""

    probability: float = 0.0
    """Probability of each kind of change per sample; 0 changes nothing and costs nothing."""

    brightness: float = 0.25
    """Largest value added to or subtracted from all pixels of a clip in [-1, 1]."""

    contrast: float = 0.25
    """Largest relative change of the distance from mid-grey."""

    saturation: float = 0.5
    """Largest relative change of the distance from each pixel's grey; for clips with three channels only."""

    translation: float = 0.125
    """Largest translation along each side as a fraction of it, rounded to whole pixels."""

    cutout: float = 0.0
    """Side of a hidden square as a fraction of the clip's sides."""

    flip: bool = False
    """Mirror half of the changed samples left to right; leave off if left and right have a meaning."""

    fill: float = -1.0
    """Value of pixels uncovered by a translation or hidden by a cutout; -1 is black."""

    def __post_init__(self) -> None:
        for name in ("probability", "brightness", "contrast", "saturation", "translation", "cutout"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class EnergyConfig:
    """The energy loss (EBGAN, Zhao et al. 2017)."""

    margin: float = 0.1
    """Energy up to which the discriminator pushes generated samples; choose somewhat more than the energy it leaves to
    real ones."""

    pulling_away_weight: float = 0.1
    """Weight of the mean squared cosine similarity between the codes of generated samples, which pushes them apart."""

    def __post_init__(self) -> None:
        if not self.margin > 0:
            raise ValueError(f"margin must be above 0, got {self.margin}")
        if not self.pulling_away_weight >= 0:
            raise ValueError(f"pulling_away_weight must be at least 0, got {self.pulling_away_weight}")


@dataclass(frozen=True, kw_only=True)
class EquilibriumConfig:
    """The equilibrium loss (BEGAN, Berthelot et al. 2017)."""

    gamma: float = 0.5
    """Ratio of the energy of generated samples to that of real ones at equilibrium; lower for better but less diverse
    samples."""

    rate: float = 1e-3
    """Learning rate of the weight of generated samples in the discriminator's loss."""

    def __post_init__(self) -> None:
        for name in ("gamma", "rate"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in (0, 1], got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig:
    """The adversarial part of an objective."""

    loss: GanLossName = "relativistic"
    """Adversarial loss of generator and discriminator."""

    adversarial_weight: float = 1.0
    """Weight of the adversarial loss in the generator's objective; 0 trains without a discriminator."""

    adversarial_start: float = 0.0
    """Fraction of the training before the adversarial loss starts; until then the discriminator is not trained."""

    adversarial_ramp: float = 0.0
    """Fraction of the training over which the adversarial weight then rises linearly from zero."""

    label_smoothing: float = 0.0
    """How far below 1 the discriminator's target for real samples lies, for losses that have targets."""

    penalties: PenaltyConfig = field(default_factory=PenaltyConfig)
    """Gradient penalties of the discriminator."""

    clip_weights: float | None = None
    """Bound on the absolute values of the discriminator's weights, applied after each update, as in the first
    Wasserstein GAN; no bound by default."""

    instance_noise: float = 0.0
    """Standard deviation of noise on everything the discriminator sees, decaying to 0 over the training."""

    energy: EnergyConfig = field(default_factory=EnergyConfig)
    """Settings of the energy loss."""

    equilibrium: EquilibriumConfig = field(default_factory=EquilibriumConfig)
    """Settings of the equilibrium loss."""

    def __post_init__(self) -> None:
        weights = [each.name for each in fields(self) if each.name.endswith("_weight")]  # those of subclasses too
        require_not_negative(self, *weights, "instance_noise")
        for name in ("adversarial_start", "adversarial_ramp"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        check_gan_loss(self.loss, label_smoothing=self.label_smoothing)
        if self.clip_weights is not None and not self.clip_weights > 0:
            raise ValueError(f"clip_weights must be above 0, got {self.clip_weights}; leave it out for no bound")
        for name, default in {"energy": EnergyConfig(), "equilibrium": EquilibriumConfig()}.items():
            if self.loss != name and getattr(self, name) != default:
                raise ValueError(f"{name} has settings of the {name} loss, and loss is {self.loss}")
        if self.loss in ENERGY_LOSSES:
            for name in ("r1", "r2", "gradient_penalty"):
                if weight := getattr(self.penalties, name):
                    raise ValueError(
                        f"penalties.{name} must be 0 for the {self.loss} loss, got {weight}: its discriminator is an "
                        "autoencoder, which is held by what it has to reconstruct"
                    )
            if self.clip_weights is not None:
                raise ValueError(f"clip_weights is for critics, and the {self.loss} loss needs an autoencoder")


def check_whole_batch(objective: AdversarialConfig, train: TrainConfig) -> None:
    """Raises ValueError if a loss that couples the samples of a batch is used with micro-batches."""
    couples = objective.loss == "relativistic-average" or (
        objective.loss == "energy" and objective.energy.pulling_away_weight > 0
    )
    if couples and train.gradient_accumulation_steps > 1:
        raise ValueError(
            f"train.gradient_accumulation_steps must be 1 for the {objective.loss} loss, which compares the samples of "
            f"a whole batch, got {train.gradient_accumulation_steps}"
        )


def check_gan_loss(name: str, *, label_smoothing: float) -> None:
    """Raises ValueError for an unknown loss, smoothing outside [0, 0.5), or smoothing of a loss without targets."""
    if name not in get_args(GanLossName):
        raise ValueError(f"unknown adversarial loss {name!r}; choose from {', '.join(get_args(GanLossName))}")
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing must lie in [0, 0.5), got {label_smoothing}")
    if label_smoothing and name not in SMOOTHABLE_LOSSES:
        raise ValueError(f"label_smoothing must be 0, got {label_smoothing}: the {name} loss has no targets to smooth")
