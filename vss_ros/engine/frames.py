"""The data that enters and leaves the engine: a frame, the decision on it, its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import nan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


class Reason(StrEnum):
    """Why a frame is, or is not, a key frame."""

    FIRST = 'first'
    """No key frame existed yet."""
    SIZE_CHANGE = 'size_change'
    """The camera's image size differs from the key frame's."""
    TIME_JUMP = 'time_jump'
    """The stamp went backwards: a bag was looped or a clock was set."""
    GAP = 'gap'
    """More time than ``max_gap`` passed since the previous frame."""
    RESET = 'reset'
    """The stream was reset, by request or after an error."""
    REQUESTED = 'requested'
    """A key frame was requested."""
    DEVIATION = 'deviation'
    """The scheduler compared a score with its threshold (either outcome)."""
    INTERVAL = 'interval'
    """The distance from the key frame decided (either outcome)."""
    BUSY = 'busy'
    """Would be a key frame, but the slow track still computes the last one's features."""
    CODEC = 'codec'
    """The video codec's frame type decided."""
    SCENE_CHANGE = 'scene_change'
    """Motion from the key frame explains so little that the image must be of another place."""
    INACCURATE = 'inaccurate'
    """The whole network has not yet seen the key frame, and the slow track is free."""
    STILL = 'still'
    """The image is the last one's, and so is the answer."""
    EVERY_FRAME = 'every_frame'
    """There is no propagation: the whole network runs on every frame."""


class AnsweredBy(StrEnum):
    """How an answer was computed."""

    FULL = 'full'
    """The whole network, on this very frame."""
    PROPAGATED = 'propagated'
    """Propagation from the last key frame."""
    FAST = 'fast'
    """A key frame answered by propagation while the slow track computes its true features."""


@dataclass(frozen=True, slots=True)
class CodecFrame:
    """What a video codec says of one frame."""

    is_key: bool
    """An I-frame: coded without looking at another frame."""
    vectors: NDArray[np.float32] | None = None
    """``(n, 6)`` rows of x, y, width, height, dx, dy in pixels of the coded picture.

    A block's top left corner, its size, and the motion from this frame back to the previous one: its content
    was at ``(x + dx, y + dy)``. Parts of the picture that no block covers are coded afresh. None where the
    vectors do not lead to the frame segmented before this one (an I-frame, or frames were skipped).
    """


@dataclass(frozen=True, slots=True)
class Frame:
    """One camera image as the engine sees it."""

    image: NDArray[np.uint8]
    """RGB pixels, shape ``(H, W, 3)``, C-contiguous."""
    stamp_ns: int
    """Acquisition time in nanoseconds; only differences matter."""
    index: int
    """Position in its stream, counted from 0 by the reader of the stream."""
    follows_ns: int | None = None
    """Stamp of the image before this one, segmented or not; None: the frame of the last step."""
    codec: CodecFrame | None = None
    """For frames of a video stream, the codec's frame type and vectors; None for single images."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the scheduler said of one frame."""

    frame_index: int
    is_key_frame: bool
    reason: Reason
    predicted_deviation: float = nan
    """Predicted share of pixels whose label differs from the key frame's, 0..1; NaN where none."""
    threshold: float = nan
    """What the prediction was compared with; NaN where nothing was."""
    key_frame_stamp_ns: int = 0
    """Stamp of the key frame this answer rests on (its own, for a key frame)."""
    frames_since_key: int = 0
    """Propagation distance in frames; 0 for a key frame."""


@dataclass(frozen=True, slots=True)
class FrameResult:
    """The answer to one frame."""

    frame_index: int
    stamp_ns: int
    size: tuple[int, int]
    """Height and width of the camera image in pixels."""
    labels: NDArray[np.uint8]
    """Class ids ``(h, w)``: at the camera's size or, where that is far larger, at the network's."""
    confidence: NDArray[np.uint8] | None
    """0..255 at the same resolution, or None where it was not asked for."""
    decision: Decision
    track: AnsweredBy
    features_accurate: bool
    """True once the cached key-frame features come from the whole network, not from the fast track."""
    age: int = 0
    """Frames since the one that the whole network saw; 0 where it saw this one."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall time of ``preprocess``, ``low``, ``motion``, ``scheduler``, ``high``, ``propagation``, ``head``,
    ``labels`` and ``confidence``, those that ran."""
