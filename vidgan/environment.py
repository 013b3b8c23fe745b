"""A trained world model as a Gymnasium environment; needs the extra `gymnasium`."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8

from gancore.data import Sample
from gancore.device import select_device
from vidgan.data.dataset import open_dataset
from vidgan.data_config import VideoDataConfig
from vidgan.evaluation.sources import check_compatible, read_run_config
from vidgan.networks.generator import FramePredictor
from vidgan.simulation import WorldState, begin_world, step_world

try:
    import gymnasium
except ImportError as error:
    raise ValueError("an environment needs gymnasium: pip install 'vidvox[gymnasium]'") from error

Picture = UInt8[np.ndarray, "height width channel"]
Reward = Callable[[Picture, Any, Picture], float]
"""The reward of a step, from the frame before it, the action and the frame after it."""


class WorldEnvironment(gymnasium.Env[Picture, Any]):
    """The world that a predictor with actions has learned: its frames are the observations.

    Every episode begins after the past of a held-out clip, drawn at random or chosen by `options={"clip": 3}` of
    `reset`. It has no end of its own and ends by truncation after `max_steps`. The model has learned no rewards: they
    are 0, or what `reward` makes of the frames.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012, Gymnasium's name and kind

    def __init__(
        self,
        model: str,
        data: VideoDataConfig | None = None,
        *,
        split: Literal["train", "val", "test"] = "test",
        choices: bool = False,
        bound: float = 1.0,
        reward: Reward | None = None,
        max_steps: int | None = 500,
        refresh: int = 0,
        truncation: float | None = 0.0,
        render_mode: str | None = None,
        cpu: bool = True,
    ):
        """
        Args:
            model: A run folder, a folder with a model, or a name on the Hub.
            data: Clips that episodes begin with; if None, those that the model was trained on, by its run folder.
            split: The part of them.
            choices: Whether an action is one of several choices (`Discrete`, one-hot for the model) and not a vector.
            bound: Bound of each number of a vector, on both sides of 0.
            reward: What a step is worth; nothing if None.
            max_steps: Steps of an episode; no end if None.
            refresh: Steps after which the model looks at its own last frames, as at a past; 0 never does.
            truncation: Bound of the latent numbers: 0 for the typical future, None for no bound.
            render_mode: "rgb_array" or None.
            cpu: Whether to stay on the CPU; for single frames it is often the faster one.

        Raises:
            ValueError, OSError: Model or clips cannot be read or do not fit each other, or the model has no actions.
        """
        self.model = FramePredictor.from_pretrained(model).to(select_device(cpu=cpu))
        if not self.model.shape.actions:
            raise ValueError(f"{model} was trained without actions: there is nothing to do in its world")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode should be rgb_array or None, not {render_mode}")
        if data is None:
            run = read_run_config(model)
            if run is None:
                raise ValueError(f"{model} does not lie in a run folder: give the data that episodes begin with")
            data = run.data
        check_compatible(self.model, data, name=model)
        self.clips = open_dataset(data, split=split)
        self.context_frames, self.choices, self.reward = self.model.shape.context_frames, choices, reward
        self.max_steps, self.truncation, self.render_mode = max_steps, truncation, render_mode
        self.refresh = refresh
        size = self.model.shape.actions
        self.action_space = (
            gymnasium.spaces.Discrete(size)
            if choices
            else gymnasium.spaces.Box(-bound, bound, (size,), dtype=np.float32)
        )
        shape = (data.height, data.width, data.channels)
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, dtype=np.uint8)
        self._state: WorldState | None = None
        self._frame: Picture = np.zeros(shape, np.uint8)
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Picture, dict]:
        """(The last frame of the past, what is known of it); `options={"clip": 3}` chooses a clip by its number.

        Raises ValueError if there is no such clip.
        """
        super().reset(seed=seed)
        number = int(self.np_random.integers(len(self.clips)))
        number = int((options or {}).get("clip", number))
        if not 0 <= number < len(self.clips):
            raise ValueError(f"options: there is no clip {number}; there are {len(self.clips)}")
        past = self.clips[Sample(number, 0)][0][: self.context_frames]
        latent = int(self.np_random.integers(2**31))
        self._state = begin_world(self.model, past[None], seed=latent, truncation=self.truncation)
        self._frame, self._steps = _to_picture(past[-1]), 0
        return self._frame, {"clip": number}

    def step(self, action: Any) -> tuple[Picture, float, bool, bool, dict]:
        """(The frame after the action, its reward, never whether it ended, whether `max_steps` are over, nothing)."""
        if self._state is None:
            raise ValueError("reset the environment before the first step")
        given = torch.from_numpy(self._convert(action))[None]
        frame, self._state = step_world(self.model, self._state, given, refresh=self.refresh)
        before, self._frame, self._steps = self._frame, _to_picture(frame[0]), self._steps + 1
        worth = 0.0 if self.reward is None else float(self.reward(before, action, self._frame))
        return self._frame, worth, False, self.max_steps is not None and self._steps >= self.max_steps, {}

    def render(self) -> Picture | None:
        """The frame that was observed last; None without a render_mode."""
        return self._frame if self.render_mode else None

    def _convert(self, action: Any) -> Float[np.ndarray, " size"]:
        """The action as the model takes it. Raises ValueError for one that is not in the space."""
        if not self.action_space.contains(action):
            raise ValueError(f"the action {action!r} is not in {self.action_space}")
        size = self.model.shape.actions
        return np.eye(size, dtype=np.float32)[int(action)] if self.choices else np.asarray(action, np.float32)


def _to_picture(frame: UInt8[torch.Tensor, "channel height width"]) -> Picture:
    return np.ascontiguousarray(frame.permute(1, 2, 0).numpy())
