"""What the tests of runtimes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vss_ros.engine.build import build_segmenter

if TYPE_CHECKING:
    from vss_ros.engine.frames import Frame
    from vss_ros.engine.options import SegmenterConfig


def labels(config: SegmenterConfig, frames: list[Frame]) -> np.ndarray[Any, Any]:
    """Return the labels of all frames, of a segmenter that could compile everything."""
    built = build_segmenter(config)
    answers = np.stack([built.segmenter.step(frame).labels.copy() for frame in frames])
    assert built.runtime.faults == []
    assert built.runtime.name == config.runtime
    built.segmenter.close()
    return answers
