"""One input under one configuration: the pure function that every way of running an evaluation calls."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.frames import AnsweredBy
from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.distance import PropagationDistance
from vss_ros.evaluation.metrics.streaming import PackedLabels
from vss_ros.evaluation.replay.clock import Clock
from vss_ros.evaluation.replay.frame_pictures import WorstFrames
from vss_ros.evaluation.replay.input_frames import Inputs
from vss_ros.evaluation.replay.operations import frame_operations
from vss_ros.evaluation.replay.propagation import count_distances
from vss_ros.evaluation.replay.result import Evaluated, InputResult
from vss_ros.evaluation.replay.scoring import Scorer
from vss_ros.evaluation.sweep.configuration import PDA_DISTANCES
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.engine.build import Built
    from vss_ros.engine.frames import Frame
    from vss_ros.evaluation.replay.input_frames import InputFrames
    from vss_ros.evaluation.replay.operations import FrameOperations
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig
    from vss_ros.images.classes import ClassTable

    OnFrame = Callable[[], None]


def evaluate_bag(
    path: Path | str, config: EvaluationConfig, on_frame: OnFrame | None = None, inputs: Inputs | None = None
) -> Evaluated:
    """Replay one input through one segmenter and score every answer.

    Depends on the files, the configuration and the code alone: time is the input's own and the slow track
    is simulated, so that the result is the same in every run, on however many machines the runs are spread.
    Only the timing, kept apart, comes from a clock.

    Args:
        path: A bag (MCAP or sqlite3), a video, or a folder of images in one of the known layouts.
        config: What to run.
        on_frame: Called after each frame of every pass (``EvaluationConfig.passes``, and one more where the
            per-frame network has to answer first), for progress.
        inputs: Holds the input open between calls; None to open it for this call.

    Returns:
        The result; where the input is at fault, one that says so (``failed`` and ``reason``).

    Raises:
        VssError: The segmenter cannot be built: unknown names, missing weights, parts that do not fit.
    """
    built = build_segmenter(config.segmenter)
    try:
        with nullcontext(inputs) if inputs is not None else Inputs() as opened:
            return _evaluate(opened.open(path, config), config, built, on_frame or (lambda: None))
    except Exception as error:  # noqa: BLE001 -- one bad input of many must not end the run over the others
        return failure(path, error)
    finally:
        built.segmenter.close()


def failure(path: Path | str, error: Exception | str) -> Evaluated:
    """Return the result of an input that could not be evaluated, and why."""
    known = isinstance(error, VssError | str)
    reason = str(error) if known else f'{type(error).__name__}: {error}'
    return Evaluated(InputResult(str(path), failed=True, reason=reason))


def _evaluate(frames: InputFrames, config: EvaluationConfig, built: Built, on_frame: OnFrame) -> Evaluated:
    path = frames.path
    table = load_classes(built.card.classes)
    scorer = Scorer(len(table), table.void_id, at_camera=frames.truth != 'per_frame')
    clock, worst = Clock(built), WorstFrames(table)
    for frame, truth in with_truth(frames, config, built, on_frame):
        if not scorer.rows:
            clock.start(frame)
        answer = clock.step(frame)
        row = scorer.add(frame, answer, truth)
        worst.offer(row, frame.image, truth, answer.labels)
        on_frame()
    if not scorer.rows:
        raise frames.nothing
    if not scorer.scored:
        raise VssError(
            f'expected masks with the stamps or names of the images of {path}, got '
            f'{frames.refused or "none that fits"}; name the mask topic or folder, or compare with the '
            'per-frame network by --agreement'
        )
    for _ in range(config.repeats - 1):
        clock.repeat(frames, on_frame)
    result = replace(result_of(frames, scorer, table), pictures=worst.pictures)
    if config.pda:
        result.metrics['pda'] = _pda(frames, config, built, scorer, on_frame)
    with torch.inference_mode():
        size = built.segmenter.network_size(answer.size)
        operations = frame_operations(built.segmenter.parts, size, built.device)
    return Evaluated(with_operations(result, operations), clock.timing(scorer.timed_counts))


def with_truth(
    frames: InputFrames, config: EvaluationConfig, built: Built, on_frame: OnFrame | None = None
) -> Iterator[tuple[Frame, NDArray[np.uint8] | None]]:
    """Yield the frames with their true masks or, where there are none, with the per-frame network's answers.

    These answers, at the resolution of its labels, are computed once for each network and kept with the
    frames for the configurations to come.

    Args:
        frames: The input.
        config: Says which network that is.
        built: The configuration's segmenter, which answers where it is that network itself.
        on_frame: Called after each frame that this network had to answer first.
    """
    if frames.truth != 'per_frame':
        table = load_classes(built.card.classes)
        yield from ((frame, None if mask is None else table.truth(mask)) for frame, mask in frames)
        return
    digest = config.per_frame().digest()
    if digest not in frames.reference:
        own = built if digest == config.digest() else build_segmenter(config.per_frame().segmenter)
        labels = []
        for frame, _ in frames:
            labels.append(PackedLabels.of(own.segmenter.step(frame).labels))
            if on_frame is not None:
                on_frame()
        frames.reference[digest] = labels
    for (frame, _), reference in zip(frames, frames.reference[digest], strict=True):
        yield frame, reference.labels()


def _pda(
    frames: InputFrames, config: EvaluationConfig, built: Built, scorer: Scorer, on_frame: OnFrame
) -> dict[str, Any]:
    """Return the counts of the PDA curve, measured over the same frames once more."""
    accuracy = PropagationDistance(scorer.classes, scorer.void_id)

    def again() -> Iterator[tuple[Frame, NDArray[np.uint8] | None, bool]]:
        """Yield the frames with their truth and whether a stream begins there."""
        for (frame, truth), row in zip(with_truth(frames, config, built), scorer.rows, strict=True):
            yield frame, truth, row.starts_stream
            on_frame()

    count_distances(built, config.segmenter.size, again(), PDA_DISTANCES, accuracy)
    return accuracy.to_dict()


def result_of(frames: InputFrames, scorer: Scorer, table: ClassTable) -> InputResult:
    """Return everything of a result that the scorer and the input know."""
    return InputResult(
        path=str(frames.path),
        sha256=frames.sha256,
        truth=frames.truth,
        class_names=table.names,
        class_colours=tuple('#{:02x}{:02x}{:02x}'.format(*colour) for colour in table.colours.tolist()),
        void_id=table.void_id,
        frames=len(scorer.rows),
        scored=scorer.scored,
        rejected=frames.drops.total(),
        drops=dict(sorted(frames.drops.items())),
        partial=frames.partial is not None,
        reason=frames.partial or '',
        metrics=scorer.counts(),
        rows=tuple(scorer.rows),
    )


def with_operations(result: InputResult, operations: FrameOperations) -> InputResult:
    """Return the result with what its frames cost."""
    spent = [(row.is_key_frame, operations.by_track[AnsweredBy(row.track)]) for row in result.rows]
    return replace(
        result,
        flops=sum(flops for _, flops in spent),
        flops_whole=operations.whole * result.frames,
        flops_key=sum(flops for is_key, flops in spent if is_key),
    )
