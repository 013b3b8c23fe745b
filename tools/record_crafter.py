"""Record episodes of Crafter under a random policy: python tools/record_crafter.py --out EPISODES --episodes 100."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gancore.files.atomic import atomic_write
from gancore.files.outputs import check_new_folder
from gancore.parsing import parse_config, report_user_errors
from gancore.rng import derive_seed

REPEAT_PROBABILITY = 0.75
"""Probability that the policy repeats its last action, so that the player explores the world."""


@dataclass(frozen=True, kw_only=True)
class RecordConfig:
    """Play Crafter (Hafner 2021; 64x64 pixels, 17 actions) at random, and write frames, actions and rewards of each
    episode to one .npz. The last tenth of two or more episodes, at least one, goes into a folder test, the others
    into train."""

    out: Path
    """New folder for the episodes."""

    episodes: int = 100
    """Number of episodes."""

    steps: int = 200
    """Maximum number of steps of an episode; some end earlier."""

    seed: int = 0
    """Seed of the worlds and of the policy; episode n is the same whatever the number of episodes."""

    def __post_init__(self) -> None:
        for name in ("episodes", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@report_user_errors
def main(argv: list[str] | None = None) -> None:
    """Play the episodes and write them."""
    config = parse_config(RecordConfig, argv, main=["out", "episodes", "steps", "seed"])
    check_new_folder(config.out, "out")
    held_out = max(config.episodes // 10, int(config.episodes > 1))
    total = 0
    for number in range(config.episodes):
        arrays = play(derive_seed(config.seed, number), steps=config.steps)
        part = "test" if number >= config.episodes - held_out else "train"
        folder = config.out / part if held_out else config.out
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / f"{number:05d}.npz") as partial, partial.open("wb") as file:
            np.savez_compressed(file, **arrays)
        total += len(arrays["frames"])
    print(f"{config.episodes} episodes, {total} frames: {config.out}; train with --data.actions 17")


def play(seed: int, *, steps: int) -> dict[str, np.ndarray]:
    """Play one episode of at most `steps` steps.

    Returns:
        frames: uint8 (steps + 1, 64, 64, 3); actions: integers (steps); rewards: float32 (steps).

    Raises:
        ValueError: crafter is not installed.
    """
    try:
        import crafter
    except ImportError as error:
        raise ValueError("recording needs crafter: pip install 'vidvox[crafter]'") from error
    world = crafter.Env(seed=seed % 2**31, length=steps)
    frames, actions, rewards = [world.reset()], [], []
    for action in draw_actions(np.random.default_rng(seed), world.action_space.n, steps):
        frame, reward, over, _ = world.step(action)
        frames.append(frame)
        actions.append(action)
        rewards.append(reward)
        if over:
            break
    return {"frames": np.stack(frames), "actions": np.array(actions), "rewards": np.array(rewards, np.float32)}


def draw_actions(random: np.random.Generator, choices: int, steps: int) -> Iterator[int]:
    """Yield the actions of a policy that draws a new one, uniformly, with probability 1 - REPEAT_PROBABILITY."""
    action = 0
    for _ in range(steps):
        if random.random() >= REPEAT_PROBABILITY:
            action = int(random.integers(choices))
        yield action


if __name__ == "__main__":
    main()
