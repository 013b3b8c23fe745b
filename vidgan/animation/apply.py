"""Animates the figure in a picture by a driving video, of any length and frame size."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from gancore.device import send
from vidgan.files.readers import VideoReader
from vidgan.frames import convert_channels, to_float, to_uint8
from vidgan.networks.animator import Animator, Moved, compose
from vidgan.networks.keypoints import Keypoints, invert, multiply

Frames = UInt8[Tensor, "time channel height width"]
Picture = UInt8[Tensor, "1 channel height width"]

NOTE = "Generated: a still picture was animated by vidvox after the motion of another film. It does not show an event."
"""What every file of a moved picture says of itself."""
BATCH = 16
"""Driving frames that are worked on at a time."""
LEAST_AREA = 1e-4
"""Area of the hull of keypoints, in squared halves of a frame's side, below which it says nothing about sizes."""


def animate_film(network: Animator, source: Picture, film: VideoReader, *, relative: bool = True) -> Iterator[Frames]:
    """Yields the moved picture in parts, as large as it was and in its channels, one frame for each of the film.

    Picture and film are resized to the frames that the network knows, whatever their shapes; there the motion is found,
    and what comes to light painted. The motion is then applied to the picture as it is. See `transfer` for `relative`.

    Raises ValueError if the film cannot be read, channels do not fit, or a result is not finite.
    """
    picture, first = prepare(network, source), None
    for start in range(0, film.frames, BATCH):
        frames = film.read(start, min(BATCH, film.frames - start))
        made, found = _animate(network, picture, prepare(network, frames), first, relative)
        first = first or Keypoints(*(each[:1] for each in found))
        yield convert_channels(to_uint8(made).cpu(), source.shape[1])


@torch.inference_mode()
def _animate(
    network: Animator,
    picture: Float[Tensor, "1 channel height width"],
    driving: Float[Tensor, "time channel h w"],
    first: Keypoints | None,
    relative: bool,
) -> tuple[Float[Tensor, "time channel height width"], Keypoints]:
    """(The picture moved as some frames of the driver, the keypoints of these); `first` are those of its first one."""
    small, count = resize(picture, network), len(driving)
    at_source, found = network.find(small), network.find(resize(driving, network))
    goal = found
    if relative:
        goal = transfer(at_source, found, first or Keypoints(*(each[:1] for each in found)))
    repeated = Keypoints(*(each.expand(count, *each.shape[1:]) for each in at_source))
    moved = network.move(small.expand(count, -1, -1, -1), repeated, goal)
    frames = [compose(picture, Moved(*(part[n : n + 1] for part in moved))) for n in range(count)]  # they may be large
    if not all(torch.isfinite(frame).all() for frame in frames):
        raise ValueError("this model makes values that are not finite: it was trained badly, or is damaged")
    return torch.cat(frames), found


def prepare(
    network: Animator, frames: UInt8[Tensor, "time _channel height width"]
) -> Float[Tensor, "time channel height width"]:
    """Frames with the channels of a network, on its device, in [-1, 1]."""
    device = next(network.parameters()).device
    return to_float(send(convert_channels(frames, network.shape.channels), device))


def resize(frames: Float[Tensor, "time channel h w"], network: Animator) -> Float[Tensor, "time channel height width"]:
    """Frames as large as those that the network was trained on."""
    size = network.shape.height, network.shape.width
    if tuple(frames.shape[2:]) == size:
        return frames
    return F.interpolate(frames, size, mode="bilinear", antialias=True)


def transfer(at_source: Keypoints, driving: Keypoints, first: Keypoints) -> Keypoints:
    """Where the source goes by relative motion: as far from its own keypoints as the driving ones from their first.

    s + f (d_t - d_0), with f the square root of the ratio of the areas that the keypoints span, and J_t J_0^-1 J_s
    (FOMM, section 3.4). The source should be posed as the driver at first; what differs in shape is not taken over.
    """
    factor = measure_size(at_source) / measure_size(first)
    position = at_source.position + factor * (driving.position - first.position)
    turned = multiply(multiply(driving.jacobian, invert(first.jacobian)), at_source.jacobian)
    return Keypoints(position, turned)


def measure_size(keypoints: Keypoints) -> float:
    """The square root of the area of the convex hull of one frame's keypoints; 1 if they span none."""
    try:
        area = ConvexHull(keypoints.position[0].double().cpu().numpy()).volume
    except (QhullError, ValueError):  # on a line, or too few
        return 1.0
    return float(area) ** 0.5 if area > LEAST_AREA else 1.0
