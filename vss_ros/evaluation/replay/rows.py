"""Engine results as decision rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.evaluation.replay.decisions import DecisionRow

if TYPE_CHECKING:
    from vss_ros.engine.frames import FrameResult


def row_of(result: FrameResult, latency: float) -> DecisionRow:
    """Return the row of one answered frame; ``latency`` in seconds."""
    decision = result.decision
    return DecisionRow(
        frame_index=decision.frame_index,
        stamp_ns=result.stamp_ns,
        is_key_frame=decision.is_key_frame,
        reason=decision.reason.value,
        predicted_deviation=decision.predicted_deviation,
        threshold=decision.threshold,
        key_frame_stamp_ns=decision.key_frame_stamp_ns,
        frames_since_key=decision.frames_since_key,
        track=result.track.value,
        features_accurate=result.features_accurate,
        latency=latency,
    )
