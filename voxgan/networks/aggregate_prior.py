"""AggregatePrior: Gaussians fitted to an encoder's aggregate posterior, from which new latents are drawn."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gancore.rng import SampleRandom

HORIZON = 16384
"""Half-life, in objects, of the running averages of the moments."""
SMALLEST_VARIANCE = 1e-4
"""Added to every variance, so that the covariance of a class with few objects is positive definite too."""

Latent = Float[Tensor, "batch latent"]
Labels = Int[Tensor, " batch"]


class AggregatePrior(nn.Module):
    """The moment-matched Gaussian of the aggregate posterior of each class, and the frequency of the class.

    An encoder whose latents may deviate from N(0, I) reconstructs better, but then most samples of N(0, I) are foreign
    to the generator. So new latents are drawn from a density fitted to the posteriors (ex-post density estimation,
    Ghosh et al. 2020, "From Variational to Deterministic Autoencoders"). Its moments are running averages over the
    posteriors in training: one with mean m and variance v has the second moment m m^T + diag(v). A class without
    objects has N(0, I).
    """

    frequency: Float[Tensor, " classes"]
    first_moment: Float[Tensor, "classes latent"]
    second_moment: Float[Tensor, "classes latent latent"]

    def __init__(self, classes: int, latent: int):
        super().__init__()
        self.register_buffer("frequency", torch.zeros(classes))
        self.register_buffer("first_moment", torch.zeros(classes, latent))
        self.register_buffer("second_moment", torch.zeros(classes, latent, latent))

    @torch.no_grad()
    def update(
        self,
        mean: Latent,
        variance: Latent,
        labels: Labels,
        *,
        objects: int,
        mean_over_processes: Callable[[Tensor], Tensor] = torch.clone,
    ) -> None:
        """Move the moments towards those of a batch.

        Args:
            mean: Of the posterior of each object.
            variance: Of the posterior of each object.
            labels: The class of each object; 0 where there are no classes.
            objects: Number of objects in all processes together.
            mean_over_processes: Averages a tensor over the processes; every process must call it.
        """
        classes = torch.arange(len(self.frequency), device=labels.device)
        member = (labels[:, None] == classes).float() / len(labels)  # batch classes
        with torch.autocast(mean.device.type, enabled=False):
            mean, variance = mean.float(), variance.float()
            outer = torch.einsum("bc,bz,by->czy", member, mean, mean)
            moments = member.sum(0), member.T @ mean, outer + (member.T @ variance).diag_embed()
        weight = 1 - 0.5 ** (objects / HORIZON)
        for running, now in zip((self.frequency, self.first_moment, self.second_moment), moments, strict=True):
            running.lerp_(mean_over_processes(now), weight)

    def sample(
        self, rng: SampleRandom, batch: int, labels: Labels | None = None, *, truncation: float | None = None
    ) -> Latent:
        """Draw a latent of each label's class; for unknown labels (len(classes)) or None, of a class by its frequency.

        A truncation bounds the magnitude of the components of the underlying standard normal noise.
        """
        labels = self._choose_classes(rng, batch, labels)
        noise = rng.normal(batch, self.first_moment.shape[1], truncation=truncation)
        with torch.autocast(noise.device.type, enabled=False):
            mean, factor = self.gaussians()
            return mean[labels] + torch.einsum("bzy,by->bz", factor[labels], noise)

    def gaussians(self) -> tuple[Float[Tensor, "classes latent"], Float[Tensor, "classes latent latent"]]:
        """The mean of each class, and the Cholesky factor of its covariance; NaN if that is not positive definite."""
        seen = self.frequency > 0
        share = torch.where(seen, self.frequency, 1.0)
        mean = self.first_moment / share[:, None]
        covariance = self.second_moment / share[:, None, None] - torch.einsum("cz,cy->czy", mean, mean)
        identity = torch.eye(mean.shape[1], device=mean.device)
        covariance = torch.where(seen[:, None, None], covariance, identity) + SMALLEST_VARIANCE * identity
        factor, failure = torch.linalg.cholesky_ex(covariance.double())  # unlike cholesky, without synchronisation
        return mean, torch.where(failure[:, None, None] == 0, factor, torch.nan).float()

    def _choose_classes(self, rng: SampleRandom, batch: int, labels: Labels | None) -> Labels:
        """The labels, with unknown ones replaced by classes drawn by their frequencies."""
        total = self.frequency.cumsum(0)
        drawn = torch.searchsorted(total, rng.uniform(batch) * total[-1], right=True).clamp(max=len(total) - 1)
        return drawn if labels is None else torch.where(labels < len(total), labels, drawn)
