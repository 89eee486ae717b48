"""A key frame where the video encoder made one, as TWNet has it (section 4.4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.engine.frames import Reason
from vss_ros.engine.schedulers.base import SCHEDULERS, Scheduler, Verdict

if TYPE_CHECKING:
    from vss_ros.engine.view import View


@SCHEDULERS.register('codec_keyframe', paper='Feng et al. 2020, TWNet')
class CodecKeyFrame(Scheduler):
    """The codec's I-frames are key frames, within the bounds on the interval.

    A stream without a codec gets a key frame every ``max_interval`` frames, by default TWNet's group of 12
    pictures. For a camera with longer groups set ``max_interval`` to theirs, else there are key
    frames between its I-frames.
    """

    default_max_interval = 12

    def judge(self, distance: int, score: float, view: View) -> Verdict:
        """Judge a frame by its type, where the stream has a codec; see :class:`Scheduler`."""
        verdict = super().judge(distance, score, view)
        if view.codec is None or distance < self.min_interval:
            return verdict
        if verdict.is_key_frame and not view.codec.is_key:
            return verdict
        return Verdict(view.codec.is_key, Reason.CODEC)
