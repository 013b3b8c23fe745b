"""How well unsupervised keypoints determine the joints of puppets, by a linear regression."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gancore.data import Sample, evenly_spaced
from vidgan.data.synthetic.puppets import Joints, PuppetClips
from vidgan.frames import to_float
from vidgan.networks.animator import Animator

PENALTY = 1e-3
"""Penalty of the regression for each frame, of features with a variance of 1."""

Numbers = Float[np.ndarray, "frames numbers"]


@dataclass(frozen=True)
class JointRegression:
    """Ridge regression from the positions of K keypoints to those of joints, in pixels."""

    mean: Float[np.ndarray, " numbers"]
    scale: Float[np.ndarray, " numbers"]
    weights: Float[np.ndarray, "numbers outputs"]
    mean_pose: Float[np.ndarray, "joints 2"]
    """The mean pose, predicted without any keypoint."""

    def predict(self, keypoints: Numbers) -> Float[np.ndarray, "frames joints 2"]:
        """The joints of each frame, in pixels."""
        change = ((keypoints - self.mean) / self.scale) @ self.weights
        return self.mean_pose + change.reshape(len(keypoints), *self.mean_pose.shape)


def fit_joints(keypoints: Numbers, joints: Joints) -> JointRegression:
    """The regression that fits these frames, in closed form."""
    mean, scale, pose = keypoints.mean(0), keypoints.std(0) + 1e-6, joints.mean(0)
    known = (keypoints - mean) / scale
    wanted = (joints - pose).reshape(len(joints), -1)
    penalty = PENALTY * len(known) * np.eye(known.shape[1])
    return JointRegression(mean, scale, np.linalg.solve(known.T @ known + penalty, known.T @ wanted), pose)


def mean_distance(found: Float[np.ndarray, "*#frames joints 2"], true: Float[np.ndarray, "*#frames joints 2"]) -> float:
    """The mean distance of joints from where they are, in pixels."""
    return float(np.linalg.norm(found - true, axis=-1).mean())


@torch.inference_mode()
def find_numbers(network: Animator, frames: Float[Tensor, "frames channels height width"]) -> Numbers:
    """The positions of all keypoints of each frame in [-1, 1], one after the other."""
    device = next(network.parameters()).device
    found = [network.find(part.to(device)).position.flatten(1).cpu() for part in frames.split(32)]
    return torch.cat(found).double().numpy()


def fit_on_puppets(network: Animator, clips: PuppetClips, *, count: int, frames: int) -> JointRegression:
    """The regression that fits `frames` frames each of `count` clips, of as many figures."""
    known, joints = [], []
    for index in range(count):
        puppet = clips.draw(Sample(index, index)).at(evenly_spaced(clips.clip_frames, count=frames))
        known.append(find_numbers(network, to_float(clips.render(puppet))))
        joints.append(puppet.joints)
    return fit_joints(np.concatenate(known), np.concatenate(joints))
