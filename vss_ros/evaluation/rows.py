"""One answered frame as a row of a table: what was decided, and how right or how late the answer was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

    from vss_ros.engine.frames import FrameResult

STREAM_STARTS = frozenset({'first', 'size_change', 'time_jump', 'gap', 'reset'})
"""Reasons of key frames at which a stream begins, with nothing that could be propagated."""
DIGITS = 6
"""Decimals of rounded ratios."""


def rounded(value: float | None) -> float | None:
    """Return a ratio rounded to ``DIGITS``, None for NaN, which JSON lacks."""
    return None if value is None or value != value else round(float(value), DIGITS)  # noqa: PLR0124


@dataclass(frozen=True)
class AnswerRow:
    """One frame's decision; the other rows add to it."""

    frame_index: int
    stamp_ns: int
    is_key_frame: bool
    reason: str
    predicted_deviation: float | None
    """None where no scheduler predicted one."""
    threshold: float | None
    key_frame_stamp_ns: int
    frames_since_key: int
    track: str
    features_accurate: bool

    @classmethod
    def of(cls, result: FrameResult, **more: Any) -> Self:
        """Return the row of an answer, ratios rounded to ``DIGITS``.

        Args:
            result: The answer.
            more: Values of the columns that a kind of row adds.
        """
        decision = result.decision
        return cls(
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
            **more,
        )

    @property
    def starts_stream(self) -> bool:
        """Whether a stream began here."""
        return self.reason in STREAM_STARTS


@dataclass(frozen=True)
class DecisionRow(AnswerRow):
    """A decision with its latency."""

    latency: float
    """Seconds."""


@dataclass(frozen=True)
class FrameRow(AnswerRow):
    """A decision and how right the answer was."""

    score: float | None
    """mIoU, or agreement, of this frame alone, 0..1; None where it has no truth."""
    deviation: float | None
    """True deviation: share of answered labels that differ from the answer to the key frame in force when
    this frame came, which a predicted deviation is about; None at the start of a stream."""
