"""TranslatorPair: translators from source to target and back, and the discriminators of both domains."""

from collections.abc import Sequence

from einops import rearrange
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from gancore.hub import HubModel
from vidgan.config import VideoDiscriminatorConfig
from vidgan.networks.discriminators import VideoDiscriminator
from vidgan.networks.translator import ClipTranslator, FrameMap
from vidgan.translation_config import PairParts, PairShape, TranslatorConfig

Frames = Float[Tensor, "batch time channels height width"]
Curves = Float[Tensor, "channels levels"]


class PatchProjection(nn.Module):
    """Projects patches of several feature maps, with a two-layer MLP per map (CUT, Park et al. 2020, section 3)."""

    def __init__(self, widths: Sequence[int], features: int):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, features), nn.ReLU(), nn.Linear(features, features)) for width in widths
        )

    def forward(self, maps: Sequence[FrameMap], places: Sequence[Int[Tensor, "frames _n"]]) -> list[Tensor]:
        """(frames, n, features) for each map, at the row-major indices `places` of its positions."""
        found = []
        for layers, each, where in zip(self.layers, maps, places, strict=True):
            patches = rearrange(each, "f c h w -> f (h w) c")
            found.append(layers(patches.gather(1, where[..., None].expand(-1, -1, patches.shape[2]))))
        return found


class TranslatorPair(HubModel):
    """A translator from source to target clips, and one back (CycleGAN) unless it was trained without (CUT)."""

    def __init__(self, config: TranslatorConfig, parts: PairParts, shape: PairShape):
        """Raises ValueError for targets of another size than their sources, or masks."""
        if shape.scale != 1 or shape.masked:
            raise ValueError("translators there and back take clips as large as they make, without a mask")
        super().__init__(config, parts, shape)
        self.config, self.parts, self.shape = config, parts, shape
        self.to_target = ClipTranslator(config, shape)
        self.to_source = ClipTranslator(config, shape) if parts.back else None
        features = parts.contrast_features
        self.projection = PatchProjection(self.to_target.feature_widths, features) if features else None

    def set_curves(self, there: Curves, back: Curves) -> None:
        """Sets the tone curves of both translators; `config.base` must be "histogram"."""
        for translator, curves in ((self.to_target, there), (self.to_source, back)):
            if translator is not None:
                assert translator.curves is not None
                translator.curves.copy_(curves)

    def forward(
        self, source: Frames, known: Bool[Tensor, "batch time 1 height width"] | None = None
    ) -> Float[Tensor, "batch time channels h w"]:
        """Target clips for source clips; see `ClipTranslator.forward`."""
        return self.to_target(source, known)

    def translate(
        self,
        frames: UInt8[Tensor, "time channels height width"],
        known: Bool[Tensor, "time 1 height width"] | None = None,
        *,
        back: bool = False,
    ) -> UInt8[Tensor, "time channels height width"]:
        """Translates one source clip of bytes to the target domain, or with `back` a target clip to the source domain.

        Raises ValueError if there is no translator back, for a mask, and for another number of channels than the
        model's.
        """
        if not back:
            return self.to_target.translate(frames, known)
        if self.to_source is None:
            raise ValueError("this model was trained to translate one way: there is no way back")
        return self.to_source.translate(frames, known)


class DiscriminatorPair(nn.Module):
    """The discriminators of targets, and those of sources if there is a translator back."""

    def __init__(self, config: VideoDiscriminatorConfig, *, channels: int, back: bool):
        super().__init__()
        self.of_targets = VideoDiscriminator(config, channels=channels)
        self.of_sources = VideoDiscriminator(config, channels=channels) if back else None
