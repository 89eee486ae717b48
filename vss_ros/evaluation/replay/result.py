"""What the evaluation of one input under one configuration gives: counts and rows that can be merged.

What depends on frames, weights and code alone is an ``InputResult``, equal to the byte in every run; what a
clock measured is an ``InputTiming``. Both are plain values, made to cross process and machine borders.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vss_ros.engine.frames import FrameResult

Counts = list[list[int]]
"""A confusion matrix's counts, ``(C, C + 1)``: true class by predicted class, the last column no class."""

STREAM_STARTS = frozenset({'first', 'size_change', 'time_jump', 'gap', 'reset'})
"""Reasons of key frames at which a stream begins, so that no track could have answered faster."""
DIGITS = 6
"""Decimals of rounded ratios."""


@dataclass(frozen=True)
class FrameRow:
    """One frame's decision and how right the answer was."""

    frame_index: int
    stamp_ns: int
    is_key_frame: bool
    reason: str
    predicted_deviation: float | None
    threshold: float | None
    key_frame_stamp_ns: int
    frames_since_key: int
    track: str
    features_accurate: bool
    score: float | None
    """mIoU, or agreement, of this frame alone, 0..1; None where it has no truth."""
    deviation: float | None
    """True deviation: share of answered labels that differ from the answer to the key frame in force when
    this frame came, which a predicted deviation is about; None at the start of a stream."""

    @property
    def starts_stream(self) -> bool:
        """Whether a stream began here."""
        return self.reason in STREAM_STARTS


def row_of(result: FrameResult, score: float | None, deviation: float | None) -> FrameRow:
    """Return the row of one answered frame, ratios rounded to ``DIGITS``."""
    decision = result.decision
    return FrameRow(
        frame_index=decision.frame_index,
        stamp_ns=result.stamp_ns,
        is_key_frame=decision.is_key_frame,
        reason=decision.reason.value,
        predicted_deviation=rounded(decision.predicted_deviation),
        threshold=rounded(decision.threshold),
        key_frame_stamp_ns=decision.key_frame_stamp_ns,
        frames_since_key=decision.frames_since_key,
        track=result.track.value,
        features_accurate=result.features_accurate,
        score=rounded(score),
        deviation=rounded(deviation),
    )


def rounded(value: float | None) -> float | None:
    """Return a ratio rounded to ``DIGITS``, None for NaN, which JSON lacks."""
    return None if value is None or value != value else round(float(value), DIGITS)  # noqa: PLR0124


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


@dataclass(frozen=True)
class InputResult:
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
    confusion: Counts = field(default_factory=list)
    distance_confusion: dict[int, Counts] = field(default_factory=dict)
    """By frames since the key frame."""
    boundary: dict[str, Any] | None = None
    """Of ``BoundaryFScore.to_dict``."""
    temporal: dict[str, Any] | None = None
    """Of ``TemporalConsistency.to_dict``."""
    pda: dict[int, Counts] = field(default_factory=dict)
    """By propagation distance; empty unless asked for."""
    flops: int = 0
    """Of all frames, slow track included; a multiply-add counts two."""
    flops_whole: int = 0
    """Of the whole network on every frame."""
    flops_key: int = 0
    """Of ``flops``, those of key frames."""
    rows: tuple[FrameRow, ...] = ()
    pictures: tuple[FramePicture, ...] = ()
    """Of the frames of lowest score, worst first."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InputResult:
        """Return what ``to_dict`` described, also after a way through JSON, whose keys are texts."""
        known = {entry.name for entry in fields(cls)}
        plain = {name: value for name, value in values.items() if name in known}
        for name in ('class_names', 'class_colours'):
            plain[name] = tuple(plain.get(name, ()))
        plain['rows'] = tuple(FrameRow(**row) for row in plain.get('rows', ()))
        plain['pictures'] = tuple(FramePicture(**picture) for picture in plain.get('pictures', ()))
        for name in ('distance_confusion', 'pda'):
            plain[name] = {int(distance): counts for distance, counts in plain.get(name, {}).items()}
        return cls(**plain)


@dataclass(frozen=True)
class InputTiming:
    """What a clock said of one input under one configuration."""

    latency_ms: tuple[float, ...] = ()
    """Per frame in the order of the rows, from the image at hand to the mask at the camera's size. The
    simulated slow track's work is left out: on the robot it runs beside."""
    parts_ms: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Per part of the pipeline, over the frames on which it ran."""
    streaming: dict[str, Any] | None = None
    """Of ``StreamingAccuracy.to_dict``."""
    machine: dict[str, Any] = field(default_factory=dict)
    subscriber_ms: tuple[float, ...] = ()
    """Of a live run, per frame in the order of the rows, from the image at a subscriber to its mask there."""
    played_rate: float | None = None
    """Of a live run, the speed that the player kept; a slow machine may fall behind."""
    replays: int = 1
    """Of so many every time above is the median, frame by frame."""
    spread: float | None = None
    """Ratio of a frame's longest time to its shortest in these, the median of all frames; None for one."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InputTiming:
        """Return what ``to_dict`` described."""
        parts = {part: tuple(ms) for part, ms in values.get('parts_ms', {}).items()}
        return cls(
            tuple(values['latency_ms']),
            parts,
            values.get('streaming'),
            dict(values['machine']),
            tuple(values.get('subscriber_ms', ())),
            values.get('played_rate'),
            values.get('replays', 1),
            values.get('spread'),
        )


@dataclass(frozen=True)
class Evaluated:
    """Both halves of one evaluation."""

    result: InputResult
    timing: InputTiming = field(default_factory=InputTiming)
