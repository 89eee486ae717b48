"""What a bag recorded from the running node says: pictures, decisions, figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from vss_ros.data.bags import message_types, open_bag, read_messages
from vss_ros.data.image_decoding import decode_compressed, decode_mask, decode_raw, decode_raw_mask
from vss_ros.data.messages import stamp_ns
from vss_ros.errors import VssError
from vss_ros.evaluation.decisions import DecisionRow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


PATIENCE = 30
"""Stamps that may wait for what belongs to them."""


@dataclass(frozen=True, slots=True)
class RecordedTopics:
    """Which topic of a recording holds what."""

    image: str
    mask: str
    decision: str
    truth: str | None = None
    diagnostics: str = '/diagnostics'


@dataclass(slots=True)
class Answer:
    """What belongs to one stamp."""

    stamp_ns: int
    image: NDArray[np.uint8] | None = None
    mask: NDArray[np.uint8] | None = None
    truth: NDArray[np.uint8] | None = None
    decision: DecisionRow | None = None


@dataclass(slots=True)
class Recording:
    """Reads a recording once, in order; counts as it goes."""

    path: Path
    topics: RecordedTopics
    counts: Counter[str] = field(default_factory=Counter)
    """Messages per role: image, mask, truth, decision."""
    mask_stamps: list[int] = field(default_factory=list)
    """Stamps of the masks in order of arrival, nanoseconds."""
    decisions: list[DecisionRow] = field(default_factory=list)
    diagnostics: dict[str, str] = field(default_factory=dict)
    """The last status of the node."""
    last_fault: str = ''
    """Why the last picture that could not be decoded was not."""

    def answers(self) -> Iterator[Answer]:
        """Yield the stamps in order of their images, each with what belongs to it.

        What lacks a part (an image nobody answered, a mask without truth) is yielded without it once
        ``PATIENCE`` later stamps have come, so that memory stays bounded.
        """
        roles = {self.topics.image: 'image', self.topics.mask: 'mask', self.topics.decision: 'decision'}
        if self.topics.truth:
            roles[self.topics.truth] = 'truth'
        waiting: dict[int, dict[str, Any]] = {}
        types = message_types()
        with open_bag(self.path) as reader:
            wanted = [c for c in reader.connections if c.topic in roles or c.topic == self.topics.diagnostics]
            for connection, _, data in read_messages(reader, wanted):
                message: Any = types.deserialize_cdr(data, connection.msgtype)
                if connection.topic == self.topics.diagnostics:
                    self._take_diagnostics(message)
                    continue
                role, stamp = roles[connection.topic], stamp_ns(message)
                self._count(role, message, stamp)
                waiting.setdefault(stamp, {})[role] = message
                while waiting:
                    first = min(waiting)
                    if len(waiting[first]) < len(roles) and len(waiting) <= PATIENCE:
                        break
                    yield self._answer(first, waiting.pop(first))
        for stamp in sorted(waiting):
            yield self._answer(stamp, waiting[stamp])

    def _count(self, role: str, message: Any, stamp: int) -> None:
        self.counts[role] += 1
        if role == 'decision':
            self.decisions.append(decision_row(message))
        elif role == 'mask':
            self.mask_stamps.append(stamp)

    def _answer(self, stamp: int, messages: dict[str, Any]) -> Answer:
        answer = Answer(stamp)
        if 'decision' in messages:
            answer.decision = decision_row(messages['decision'])
        for role, decode in (('image', _pixels), ('mask', decode_labels), ('truth', decode_labels)):
            try:
                setattr(answer, role, decode(messages[role]) if role in messages else None)
            except VssError as error:  # the node refused it too; the rest of the recording still counts
                self.counts[f'undecodable_{role}'] += 1
                self.last_fault = str(error)
        return answer

    def _take_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if status.name.endswith('segmentation'):
                self.diagnostics = {pair.key: pair.value for pair in status.values}


def decode_labels(message: Any) -> NDArray[np.uint8]:
    """Return the class ids ``(H, W)`` of a mask message of either image type.

    Raises:
        VssError: It is damaged.
    """
    if hasattr(message, 'format'):
        return decode_mask(message.data)
    if message.encoding == '16UC1':  # ids are bytes; the node widens them on request
        wide = np.frombuffer(message.data, '<u2').reshape(message.height, -1)[:, : message.width]
        return wide.astype(np.uint8)
    return decode_raw_mask(message.data, message.height, message.width, message.encoding, message.step)


def _pixels(message: Any) -> NDArray[np.uint8]:
    if hasattr(message, 'format'):
        return decode_compressed(message.data, message.format)
    return decode_raw(message.data, message.height, message.width, message.encoding, message.step)


def decision_row(message: Any) -> DecisionRow:
    """Return a KeyFrameDecision message as a row."""
    key = message.key_frame_stamp
    return DecisionRow(
        frame_index=int(message.frame_index),
        stamp_ns=stamp_ns(message),
        is_key_frame=bool(message.is_key_frame),
        reason=str(message.reason),
        predicted_deviation=float(message.predicted_deviation),
        threshold=float(message.threshold),
        key_frame_stamp_ns=key.sec * 10**9 + key.nanosec,
        frames_since_key=int(message.frames_since_key),
        track=str(message.track),
        features_accurate=bool(message.features_accurate),
        latency=float(message.latency),
    )
