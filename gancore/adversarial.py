"""The parts of a GAN objective that do not depend on what is generated: losses, schedules, penalties, balancing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gancore.config import AdversarialConfig, EquilibriumConfig
from gancore.device import read_later
from gancore.losses import (
    GAN_LOSSES,
    GanLoss,
    ScoreFunction,
    add_instance_noise,
    clip_weights_,
    compute_penalties,
    linear_decay,
    make_gan_loss,
)
from gancore.rng import SampleRandom

Scores = Float[Tensor, "batch *map"]
Scalar = Float[Tensor, ""]


@dataclass(frozen=True)
class AdversarialGame:
    """The adversarial losses of both players, their schedule, gradient penalties, instance noise, weight clipping."""

    config: AdversarialConfig

    def is_active(self, progress: float) -> bool:
        """Whether the adversarial loss is on at this progress, the fraction of the training that is done."""
        return bool(self.config.adversarial_weight) and progress >= self.config.adversarial_start

    def weight_at(self, progress: float) -> float:
        """Weight of the generator's adversarial loss: from `adversarial_start` it ramps up linearly."""
        ramp = self.config.adversarial_ramp
        risen = min((progress - self.config.adversarial_start) / ramp, 1.0) if ramp else 1.0
        return risen * self.config.adversarial_weight

    def discriminator_loss(
        self,
        real: Scores,
        fake: Scores,
        *,
        mean_over_processes: Callable[[Tensor], Tensor],
        balance: "EnergyBalance | None" = None,
    ) -> Scalar:
        """The discriminator's loss; "equilibrium" weighs the fakes by `balance`, which no other loss needs."""
        assert balance is not None or self.config.loss != "equilibrium", "the equilibrium loss needs an EnergyBalance"
        return self._make_loss(mean_over_processes, balance).discriminator_loss(real, fake)

    def generator_loss(
        self, real: Scores | None, fake: Scores, *, progress: float, mean_over_processes: Callable[[Tensor], Tensor]
    ) -> Scalar:
        """The generator's weighted loss; `real` may be None unless `generator_uses_real`."""
        return self.weight_at(progress) * self._make_loss(mean_over_processes).generator_loss(real, fake)

    def _make_loss(
        self, mean_over_processes: Callable[[Tensor], Tensor], balance: "EnergyBalance | None" = None
    ) -> GanLoss:
        config = self.config
        settings: dict[str, Any] = {}
        if config.loss == "relativistic-average":
            settings["mean_over_processes"] = mean_over_processes
        elif config.loss == "energy":
            settings["margin"] = config.energy.margin
        elif config.loss == "equilibrium" and balance is not None:
            settings["fake_weight"] = balance.fake_weight
        return make_gan_loss(config.loss, label_smoothing=config.label_smoothing, **settings)

    @property
    def generator_uses_real(self) -> bool:
        """Whether the generator's loss needs the scores of real samples."""
        return GAN_LOSSES[self.config.loss].uses_real

    def penalties(
        self, score_function: ScoreFunction, real: Tensor, *, fake: Tensor, step: int, rng: SampleRandom
    ) -> dict[str, Scalar]:
        """The weighted gradient penalties that are due at this step, by name."""
        return compute_penalties(self.config.penalties, score_function, real, fake=fake, step=step, rng=rng)

    def perturb(
        self,
        real: Tensor,
        fake: Tensor,
        *,
        augment: Callable[[Tensor], Tensor],
        progress: float,
        rng: SampleRandom,
    ) -> tuple[Tensor, Tensor]:
        """Real and generated samples as the discriminator sees them: augmented alike, then with instance noise."""
        std = linear_decay(self.config.instance_noise, progress)
        noisy_real = add_instance_noise(augment(real), rng, std=std)
        return noisy_real, add_instance_noise(augment(fake), rng, std=std)

    def constrain_discriminator(self, discriminator: nn.Module) -> None:
        """Clips the discriminator's weights in place, if configured (Arjovsky et al. 2017)."""
        if self.config.clip_weights is not None:
            clip_weights_(discriminator, self.config.clip_weights)


class AccuracyGate(nn.Module):
    """Skips the discriminator's update while its accuracy on the previous batch exceeds a threshold.

    From 3D-GAN (Wu et al. 2016, section 3.2). Its buffers are saved with the run, so a resumed run skips the same
    updates. A threshold of None switches it off.
    """

    def __init__(self, threshold: float | None):
        super().__init__()
        self.threshold = threshold
        self.accuracy: Tensor
        self.measured: Tensor
        self.register_buffer("accuracy", torch.zeros(()))
        self.register_buffer("measured", torch.zeros(2))
        self._read_decision: Callable[[], bool] | None = None
        self.register_load_state_dict_post_hook(_discard_read_decision)

    def is_closed(self) -> bool:
        """Whether the discriminator's update is to be skipped."""
        if self.threshold is None:
            return False
        return bool(self.accuracy > self.threshold) if self._read_decision is None else self._read_decision()

    @torch.no_grad()
    def measure(self, real: Scores, fake: Scores, *, mean_over_processes: Callable[[Tensor], Tensor]) -> None:
        """Records the accuracy on a micro-batch, given the logits of its real and generated samples."""
        if self.threshold is None:
            return
        accuracy = ((real > 0).float().mean() + (fake < 0).float().mean()) / 2
        self.measured += torch.stack([mean_over_processes(accuracy), torch.ones_like(accuracy)])

    @torch.no_grad()
    def finish_batch(self) -> None:
        """Decides by the mean accuracy recorded since the last call."""
        if self.threshold is None:
            return
        correct, count = self.measured
        self.accuracy.copy_(torch.where(count > 0, correct / count, self.accuracy))
        self.measured.zero_()
        self._read_decision = read_later(self.accuracy > self.threshold)  # the generator's update need not wait for it


def _discard_read_decision(gate: AccuracyGate, keys: Any) -> None:
    """Called after a state is loaded: the decision that was read belongs to the former state."""
    del keys
    gate._read_decision = None


class EnergyBalance(nn.Module):
    """Measures the energies of real and generated samples, and adapts BEGAN's weight k of the generated ones.

    k starts at 0. After each batch it moves by rate * (gamma * real - fake), clamped to [0, 1], which drives the energy
    of generated samples towards gamma times that of real ones (Berthelot et al. 2017, section 3.3). The buffers are
    saved with the run and equal in all processes.
    """

    def __init__(self, config: EquilibriumConfig | None):
        """With None the energies are only measured."""
        super().__init__()
        self.config = config
        self.fake_weight: Tensor
        self.energies: Tensor
        self.measured: Tensor
        if config is not None:
            self.register_buffer("fake_weight", torch.zeros(()))
        self.register_buffer("energies", torch.zeros(2))
        self.register_buffer("measured", torch.zeros(3))

    @torch.no_grad()
    def measure(self, real: Scores, fake: Scores, *, mean_over_processes: Callable[[Tensor], Tensor]) -> None:
        """Records the energies on a micro-batch, given the scores of its real and generated samples."""
        energies = torch.stack([-real.float().mean(), -fake.float().mean()])
        self.measured += torch.cat([mean_over_processes(energies), torch.ones_like(energies[:1])])

    @torch.no_grad()
    def finish_batch(self) -> None:
        """Moves k by the mean energies recorded since the last call."""
        count = self.measured[2]
        self.energies.copy_(torch.where(count > 0, self.measured[:2] / count, self.energies))
        if self.config is not None:
            real, fake = self.energies
            change = self.config.rate * (self.config.gamma * real - fake)
            self.fake_weight.add_(torch.where(count > 0, change, 0.0)).clamp_(0, 1)
        self.measured.zero_()

    def measurements(self) -> dict[str, float]:
        """The energies of the last batch; with a config also k and BEGAN's measure of convergence.

        That measure is real + |gamma * real - fake|, which falls as both players get better (section 3.4.1).
        """
        real, fake = self.energies.tolist()
        numbers = {"real": real, "fake": fake}
        if self.config is not None:
            numbers["fake_weight"] = self.fake_weight.item()
            numbers["convergence"] = real + abs(self.config.gamma * real - fake)
        return numbers
