"""What the whole network answers on every frame: the yardstick where nobody has drawn true masks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.propagation.base import NO_PROPAGATION
from vss_ros.evaluation.packed import PackedLabels

if TYPE_CHECKING:
    from collections.abc import Callable

    from vss_ros.evaluation.configuration import EvaluationConfig
    from vss_ros.evaluation.input_frames import InputFrames


def per_frame(config: EvaluationConfig) -> EvaluationConfig:
    """Return the configuration whose network runs whole on every frame, all else but ``pda`` alike."""
    segmenter = replace(config.segmenter, propagation=NO_PROPAGATION)
    return replace(config, segmenter=segmenter, pda=False).canonical()


def per_frame_labels(
    frames: InputFrames, config: EvaluationConfig, on_frame: Callable[[], None] | None = None
) -> list[PackedLabels]:
    """Return the labels of the configuration's own network on every frame, at the resolution of its labels.

    Computed once per network and kept with the frames, for the configurations to come.
    """
    wanted = per_frame(config)
    known = frames.reference.get(wanted.digest())
    if known is not None:
        return known
    built = build_segmenter(wanted.segmenter)
    labels = []
    for frame, _ in frames:
        labels.append(PackedLabels.of(built.segmenter.step(frame).labels))
        if on_frame is not None:
            on_frame()
    frames.reference[wanted.digest()] = labels
    return labels
