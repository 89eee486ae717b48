"""What a subscriber recorded of a live run, made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from vss_ros.engine.frames import AnsweredBy, Decision, Reason
from vss_ros.recordings.bags import HEADER, HEADER_TOPIC, IMAGE, KEY_FRAME_DECISION, BagWriter, message_types
from vss_ros.recordings.messages import header, raw_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

CAMERA = '/camera/image_raw'
NODE = '/segmentation'
FIRST = Decision(0, is_key_frame=True, reason=Reason.FIRST)


class Came(NamedTuple):
    """What came for one image; None for what did not."""

    stamp_ns: int
    image_ns: int | None = None
    """When the image came."""
    mask: NDArray[np.uint8] | None = None
    mask_ns: int = 0
    decision: Decision | None = None
    track: AnsweredBy = AnsweredBy.FULL
    accurate: bool = True
    latency: float = 0.0
    """Seconds."""


def record(path: Path, all_that_came: Sequence[Came]) -> Path:
    """Write the bag."""
    with BagWriter(path) as bag:
        bag.add_topic(CAMERA + HEADER_TOPIC, HEADER)
        bag.add_topic(f'{NODE}/mask', IMAGE)
        bag.add_topic(f'{NODE}/key_frame', KEY_FRAME_DECISION)
        for came in all_that_came:
            if came.image_ns is not None:
                bag.write(CAMERA + HEADER_TOPIC, came.image_ns, header(came.stamp_ns, 'camera'))
            if came.mask is not None:
                bag.write(f'{NODE}/mask', came.mask_ns, raw_image(came.mask, came.stamp_ns))
            if came.decision is not None:
                bag.write(f'{NODE}/key_frame', came.mask_ns, decision_message(came, came.decision))
    return path


def decision_message(came: Came, decision: Decision) -> Any:
    """Return what the node says of an image."""
    types = message_types().types
    seconds, nanoseconds = divmod(decision.key_frame_stamp_ns or came.stamp_ns, 10**9)
    return types[KEY_FRAME_DECISION](
        header=header(came.stamp_ns, 'camera'),
        frame_index=decision.frame_index,
        is_key_frame=decision.is_key_frame,
        reason=decision.reason.value,
        predicted_deviation=decision.predicted_deviation,
        threshold=decision.threshold,
        key_frame_stamp=types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds),
        frames_since_key=decision.frames_since_key,
        track=came.track.value,
        features_accurate=came.accurate,
        latency=came.latency,
    )
