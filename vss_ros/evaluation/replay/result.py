"""What the evaluation of one input under one configuration gives: counts and rows that can be merged.

What depends on frames, weights and code alone is an ``InputResult``, equal to the byte in every run; what a
clock measured is an ``InputTiming``. Both are plain values that go into files and to other processes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from vss_ros.evaluation.rows import FrameRow  # noqa: TC001 -- pydantic reads annotations

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

Counts = dict[str, dict[str, Any]]
"""What each metric has counted, by its name: plain values of ``Metric.to_dict``."""


@dataclass(frozen=True)
class FramePicture:
    """One frame to look at, small; every picture is a file's bytes in Base64."""

    frame_index: int
    image: str
    """The camera's, a JPEG."""
    truth: str
    """In the classes' colours, a PNG."""
    mask: str
    """The answer, likewise."""


class _Stored:
    """What goes through files and to other processes as plain values."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return what ``to_dict`` described, also after a way through JSON; unknown entries are left out."""
        return TypeAdapter(cls).validate_python(values)


@dataclass(frozen=True)
class InputResult(_Stored):
    """One input under one configuration: everything that does not depend on a clock."""

    path: str
    """As the user named it."""
    sha256: str = ''
    """Of all files it is read from, masks included."""
    truth: str = ''
    """``masks`` (the input's own), ``folder``, ``per_frame`` (agreement only), empty after an error."""
    class_names: tuple[str, ...] = ()
    class_colours: tuple[str, ...] = ()
    """In which each is drawn, as ``#rrggbb``."""
    void_id: int = 255
    """True label of pixels that count nowhere."""
    frames: int = 0
    """Answered."""
    scored: int = 0
    """Of these, frames with a truth."""
    rejected: int = 0
    """Damaged frames and masks, left out."""
    drops: dict[str, int] = field(default_factory=dict)
    """The same by cause."""
    partial: bool = False
    """Only a part of the input could be read."""
    failed: bool = False
    """Nothing could be evaluated; ``reason`` says why."""
    reason: str = ''
    metrics: Counts = field(default_factory=dict)
    """Of all metrics that need no clock."""
    flops: int = 0
    """Of all frames, slow track included; a multiply-add counts two."""
    flops_whole: int = 0
    """Of the whole network on every frame."""
    flops_key: int = 0
    """Of ``flops``, those of key frames."""
    rows: tuple[FrameRow, ...] = ()
    pictures: tuple[FramePicture, ...] = ()
    """Of the frames of lowest score, worst first."""


@dataclass(frozen=True)
class InputTiming(_Stored):
    """How long one input took under one configuration, and what follows from that."""

    latency_ms: tuple[float, ...] = ()
    """Per frame in the order of the rows, from the image at hand to the mask at the camera's size. The
    simulated slow track's work is left out: on the robot it runs beside."""
    parts_ms: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Per part of the pipeline, over the frames on which it ran."""
    metrics: Counts = field(default_factory=dict)
    """Of the metrics that latencies decide."""
    machine: dict[str, Any] = field(default_factory=dict)
    subscriber_ms: tuple[float, ...] = ()
    """Of a live run, per frame in the order of the rows, from the image at a subscriber to its mask there."""
    played_rate: float | None = None
    """Of a live run, the speed that the player kept; a slow machine may fall behind."""
    replays: int = 1
    """Of so many every time above is the median, frame by frame."""
    spread: float | None = None
    """Ratio of a frame's longest time to its shortest in these, the median of all frames; None for one."""


@dataclass(frozen=True)
class Evaluated:
    """Both halves of one evaluation."""

    result: InputResult
    timing: InputTiming = field(default_factory=InputTiming)
