"""Evaluates the real node: plays an input to it over DDS and scores what a subscriber received."""

from __future__ import annotations

import os
import re
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python

from vss_ros.engine.options import PARAMETERS, node_config
from vss_ros.errors import VssError
from vss_ros.evaluation.replay.evaluate_bag import failure
from vss_ros.evaluation.replay.input_frames import Inputs
from vss_ros.evaluation.sweep.store import evaluate_stored
from vss_ros.live.observer import LiveRun, ask, graph
from vss_ros.live.run import play, stay_apart
from vss_ros.live.scoring import score_live
from vss_ros.node.parameters import assignments
from vss_ros.recordings.playback import find_camera

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vss_ros.engine.options import SegmenterConfig
    from vss_ros.evaluation.replay.result import Evaluated
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig
    from vss_ros.evaluation.sweep.pool import Job

FOLDER = 'live'
"""Folder of what was received, beside the results."""
_runs = count()


def run_live_jobs(
    jobs: Sequence[Job],
    store: str | None,
    *,
    node: str = '',
    inputs: Inputs,
    on_frame: Callable[[Job], None] | None = None,
) -> Iterator[tuple[Job, Evaluated]]:
    """Yield each job with its result, one after the other: they would disturb one another.

    Args:
        jobs: Of live configurations.
        store: Folder of the results; None for none. Recorded bags and logs lie in ``live`` beside it, or are
            gone after the run where there is none.
        node: Full name of a node that runs already; empty to start one with each job's configuration, in a
            ROS domain where no robot is.
        inputs: Holds the inputs open between jobs.
        on_frame: Called with the job for each image that a subscriber received.

    Raises:
        VssError: A segmenter cannot be built.
    """
    if not node:
        stay_apart()
    if store is not None:
        Path(store).mkdir(parents=True, exist_ok=True)  # by which a stopped run's folder is known again
    for job in jobs:
        place = None if store is None else Path(store).with_name(FOLDER) / _name(job)
        evaluate = partial(evaluate_live, folder=place, node=node)
        count = None if on_frame is None else partial(on_frame, job)
        yield job, evaluate_stored(job.path, job.config, store, count, inputs=inputs, evaluate=evaluate)


def evaluate_live(
    path: Path | str,
    config: EvaluationConfig,
    on_image: Callable[[], None] | None = None,
    inputs: Inputs | None = None,
    *,
    folder: Path | None = None,
    node: str = '',
) -> Evaluated:
    """Play one input to the node and score every mask that arrived.

    How many arrive, and when, is the machine's affair: overload shows in the figures and is no error. Of a
    damaged bag every complete image is played, and the result is partial. ``inputs`` holds the input open
    between calls. The recorded bag and logs go to ``folder``; None is for one that is removed. ``node`` is
    the full name of one that runs already; empty to start one.

    Returns:
        The result; where the input or the run is at fault, one that says so (``failed`` and ``reason``).
    """
    try:
        with (
            nullcontext(folder) if folder is not None else TemporaryDirectory(prefix='vss-live-') as place,
            nullcontext(inputs) if inputs is not None else Inputs() as opened,
        ):
            frames = opened.open(path, config)
            salvage = frames.damaged
            camera = find_camera(Path(path), config.image_topic, but=config.mask_topic, salvage=salvage)
            run = LiveRun(
                Path(path),
                camera,
                rate=config.rate,
                fps=config.fps,
                namespace='' if node else f'/live_{os.getpid()}_{next(_runs)}',
                # Diagnostics twice a second, for the run ends when they say that all is done.
                parameters=[*assignments(config.segmenter), 'diagnostics_period:=0.5'],
                attach=node,
                salvage=salvage,
            )
            return score_live(frames, config, play(run, Path(place), on_image))
    except Exception as error:  # noqa: BLE001 -- one bad input of many must not end the run over the others
        return failure(path, error)


def settings_of(node: str) -> SegmenterConfig:
    """Return what a node that runs already, given by its full name, is set to.

    Raises:
        VssError: It does not answer, or is no segmentation node.
    """
    names = list(PARAMETERS)
    with graph() as executor:
        asker = Node('vss_evaluate', context=executor.context, start_parameter_services=False)
        executor.add_node(asker)
        values = ask(asker, GetParameters, f'{node}/get_parameters', names=names).values
        executor.remove_node(asker)
        asker.destroy_node()
    known = dict(zip(names, map(parameter_value_to_python, values), strict=False))
    missing = [name for name in names if known.get(name) is None]
    if missing:
        raise VssError(f'expected a segmentation_node, got {node} without parameters {", ".join(missing)}')
    return replace(node_config(known).segmenter, slow_delay=1)


def _name(job: Job) -> str:
    words = re.sub(r'[^\w.+=-]', '_', f'{Path(job.path).stem}.{job.config.name}')[:80]
    return f'{words}.{job.config.digest()[:8]}'
