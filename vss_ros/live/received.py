"""What a subscriber received during a live run, read back from the recorded bag."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vss_ros.errors import VssError
from vss_ros.evaluation.rows import DecisionRow
from vss_ros.images.image_decoding import decode_image_message, decode_mask_message
from vss_ros.recordings.bags import HEADER_TOPIC, deserialise, open_bag, read_messages
from vss_ros.recordings.messages import stamp_ns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray


PATIENCE = 30
"""How many later stamps may come before a stamp is given up that still lacks a part."""


@dataclass(slots=True)
class Answer:
    """What was received for one image, None for what was not or could not be decoded."""

    stamp_ns: int
    image: NDArray[np.uint8] | None = None
    """RGB, ``(H, W, 3)``."""
    mask: NDArray[np.uint8] | None = None
    """Class ids, ``(H, W)``."""
    truth: NDArray[np.uint8] | None = None
    """True class ids, ``(H, W)``."""
    decision: DecisionRow | None = None


def decode_labels(message: Any) -> NDArray[np.uint8]:
    """Return the class ids ``(H, W)`` of a mask message of either image type.

    Raises:
        VssError: It is damaged.
    """
    if getattr(message, 'encoding', '') == '16UC1':  # ids are bytes; the node widens them on request
        wide = np.frombuffer(message.data, '<u2').reshape(message.height, -1)[:, : message.width]
        return wide.astype(np.uint8)
    return decode_mask_message(message)


def _answer(stamp: int, messages: dict[str, Any]) -> Answer:
    parts: dict[str, Any] = {}
    for role, message in messages.items():
        with suppress(VssError):  # the node refuses damaged images too; the rest still counts
            parts[role] = DECODERS[role](message)
    return Answer(stamp, **parts)


def _time_ns(time: Any) -> int:
    return int(time.sec) * 10**9 + int(time.nanosec)


def decision_row(message: Any) -> DecisionRow:
    """Return a KeyFrameDecision message as a row."""
    values: dict[str, Any] = {f.name: getattr(message, f.name, None) for f in fields(DecisionRow)}
    stamps = {'stamp_ns': stamp_ns(message), 'key_frame_stamp_ns': _time_ns(message.key_frame_stamp)}
    return DecisionRow(**(values | stamps))


DECODERS = {
    'image': decode_image_message, 'mask': decode_labels, 'truth': decode_labels, 'decision': decision_row
}  # fmt: skip
"""What makes a part of an ``Answer`` of a message, by the part's name."""
CAUSES = ('overwritten', 'errors', 'waited_for_i_frame')
"""Why the node dropped an image, by its diagnostics; those that begin with ``REJECTED`` come besides."""
REJECTED = 'rejected_'


class ReceivedMask(NamedTuple):
    """A mask as a subscriber got it."""

    stamp_ns: int
    """Of the image it answers."""
    arrived_ns: int
    """On the subscriber's clock."""
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class Received:
    """A recorded live run."""

    bag: Path
    camera: str
    """Topic of the images."""
    node: str
    """Full name of the node."""
    sent: int
    """Images that were played."""
    counters: Mapping[str, int]
    """What the node counted meanwhile, by the names of its diagnostics."""

    def index(self) -> ReceivedIndex:
        """Read everything but pixels, of a run that recorded the images' headers alone."""
        index = ReceivedIndex()
        roles = {self.camera + HEADER_TOPIC: 'image', f'{self.node}/mask': 'mask'}
        roles[f'{self.node}/key_frame'] = 'decision'
        for topic, arrived_ns, message in self._messages(*roles):
            stamp = _time_ns(message.stamp) if roles[topic] == 'image' else stamp_ns(message)
            index.add(roles[topic], stamp, arrived_ns, message)
        return index

    def answers(self, index: ReceivedIndex, truth: str = '') -> Iterator[Answer]:
        """Yield what belongs together, in order of stamps, of a run that recorded everything.

        A stamp that lacks a part (an image without an answer, a mask without truth) is yielded without it
        once ``PATIENCE`` later stamps have come, so that memory stays bounded. The index is filled on the
        way; ``truth`` is the topic of the true masks, empty where there is none.
        """
        roles = {self.camera: 'image', f'{self.node}/mask': 'mask', f'{self.node}/key_frame': 'decision'}
        roles |= {truth: 'truth'} if truth else {}
        waiting: dict[int, dict[str, Any]] = {}
        for topic, arrived_ns, message in self._messages(*roles):
            stamp = stamp_ns(message)
            index.add(roles[topic], stamp, arrived_ns, message)
            waiting.setdefault(stamp, {})[roles[topic]] = message
            while waiting:
                first = min(waiting)
                if len(waiting[first]) < len(roles) and len(waiting) <= PATIENCE:
                    break
                yield _answer(first, waiting.pop(first))
        for stamp in sorted(waiting):
            yield _answer(stamp, waiting[stamp])

    def masks(self) -> Iterator[ReceivedMask]:
        """Yield the masks in order of arrival."""
        for _, arrived_ns, message in self._messages(f'{self.node}/mask'):
            yield ReceivedMask(stamp_ns(message), arrived_ns, decode_labels(message))

    def _messages(self, *topics: str) -> Iterator[tuple[str, int, Any]]:
        with open_bag(self.bag) as reader:
            wanted = [c for c in reader.connections if c.topic in topics]
            for connection, time_ns, data in read_messages(reader, wanted) if wanted else ():
                yield connection.topic, time_ns, deserialise(data, connection.msgtype)

    def drops(self, masks: int) -> dict[str, int]:
        """Return the images without a mask by cause, in the node's own words, from how many masks came.

        With ``transport``, images that did not reach the node, and ``mask_lost``, masks that did not arrive.
        """
        counted = self.counters.items()
        found = {name: count for name, count in counted if name in CAUSES or name.startswith(REJECTED)}
        found['transport'] = self.sent - self.counters.get('received', 0)
        found['mask_lost'] = self.counters.get('answered', 0) - masks
        return {cause: count for cause, count in sorted(found.items()) if count > 0}


class ReceivedIndex:
    """Arrivals and decisions by stamp; where a stamp comes several times, in order."""

    def __init__(self) -> None:
        self.images: defaultdict[int, deque[int]] = defaultdict(deque)
        """When the image of a stamp arrived at the subscriber, nanoseconds."""
        self.masks: Counter[int] = Counter()
        """How many masks came with a stamp."""
        self.decisions: defaultdict[int, deque[DecisionRow]] = defaultdict(deque)

    def add(self, role: str, stamp: int, arrived_ns: int, message: Any) -> None:
        """Note a message in the role of image, mask or decision; others are left out."""
        if role == 'image':
            self.images[stamp].append(arrived_ns)
        elif role == 'mask':
            self.masks[stamp] += 1
        elif role == 'decision':
            self.decisions[stamp].append(decision_row(message))

    @property
    def played_rate(self) -> float | None:
        """Speed at which the images came, 1 being the recording's own; None without two of them."""
        came = [(arrived_ns, stamp) for stamp, times in self.images.items() for arrived_ns in times]
        (first_ns, first), (last_ns, last) = min(came, default=(0, 0)), max(came, default=(0, 0))
        played = last > first and last_ns > first_ns
        return round((last - first) / (last_ns - first_ns), 3) if played else None


class Instants:
    """The moments at which a subscriber had each image, on its own clock.

    An image that was lost on its way has the moment it would have come by its stamp and the speed of playing.
    """

    def __init__(self, index: ReceivedIndex, rate: float) -> None:
        self._arrivals = {stamp: deque(times) for stamp, times in index.images.items()}
        self._rate = rate
        anchor = min(((times[0], stamp) for stamp, times in self._arrivals.items()), default=(0, 0))
        self._near_ns, self._near_stamp = anchor
        self._last_ns = 0

    def of(self, stamp: int) -> int:
        """Return the next image's moment, later than the one before; stamps come in the order of playing."""
        arrivals = self._arrivals.get(stamp)
        if arrivals:
            moment = arrivals.popleft()
        else:
            moment = self._near_ns + round((stamp - self._near_stamp) / self._rate)
        self._near_ns, self._near_stamp = moment, stamp
        self._last_ns = max(moment, self._last_ns + 1)
        return self._last_ns
