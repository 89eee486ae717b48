"""How many frames a run will go through: what a progress bar must know for the time left to be right."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from vss_ros.errors import VssError
from vss_ros.evaluation.replay.input_frames import open_input, per_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vss_ros.evaluation.sweep.configuration import EvaluationConfig
    from vss_ros.evaluation.sweep.pool import Job


def expected_frames(jobs: Sequence[Job], workers: int = 1) -> dict[Job, int]:
    """Return the frames of each job, once for every pass over its input.

    Args:
        jobs: Those of one input beside each other.
        workers: Processes; without masks each asks the per-frame network for itself.

    Returns:
        0 where an input does not say how long it is, or does not open.
    """
    first = {job.path: job.config for job in reversed(jobs)}
    # Backwards: the first input stays open for what comes next.
    looked = {path: _look(path, config) for path, config in first.items()}
    asked: Counter[tuple[str, str]] = Counter()
    expected = {}
    for job in jobs:
        frames, is_labelled = looked[job.path]
        passes = job.config.passes
        if not is_labelled and not job.config.live:
            network = job.path, per_frame(job.config).digest()
            asked[network] += 1
            passes += asked[network] <= workers
        expected[job] = passes * frames
    return expected


def _look(path: str, config: EvaluationConfig) -> tuple[int, bool]:
    """Return how many frames an input promises and whether it has masks."""
    try:
        found = open_input(Path(path), config)
    except (VssError, OSError):
        return 0, True
    return found.frame_count or 0, found.truth != 'per_frame'
