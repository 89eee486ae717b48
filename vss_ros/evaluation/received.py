"""What a subscriber received of a live run: masks with the moments at which they arrived, decisions."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from vss_ros.data.bags import HEADER_TOPIC, deserialise, open_bag, read_messages
from vss_ros.data.messages import stamp_ns
from vss_ros.evaluation.recording import decision_row, decode_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.evaluation.decisions import DecisionRow

CAUSES = ('overwritten', 'errors', 'waited_for_i_frame')
"""Why the node dropped an image, by its diagnostics; those that begin with ``REJECTED`` come besides."""
REJECTED = 'rejected_'


class ReceivedMask(NamedTuple):
    """A mask as a planner got it."""

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
        """Read everything but the masks' pixels."""
        index = ReceivedIndex()
        images, masks, decisions = self.camera + HEADER_TOPIC, f'{self.node}/mask', f'{self.node}/key_frame'
        for topic, arrived_ns, message in self._messages(images, masks, decisions):
            if topic == images:
                stamp = message.stamp
                index.images[stamp.sec * 10**9 + stamp.nanosec].append(arrived_ns)
            elif topic == masks:
                index.masks[stamp_ns(message)] += 1
            else:
                row = decision_row(message)
                index.decisions[row.stamp_ns].append(row)
        return index

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
        """Return the images without a mask by cause, in the node's own words.

        Args:
            masks: Received ones.

        Returns:
            Also ``transport``, images that did not reach the node, and ``mask_lost``, masks that did not
            reach the subscriber.
        """
        counted = self.counters.items()
        found = {name: count for name, count in counted if name in CAUSES or name.startswith(REJECTED)}
        found['transport'] = self.sent - self.counters.get('received', 0)
        found['mask_lost'] = self.counters.get('answered', 0) - masks
        return {cause: count for cause, count in sorted(found.items()) if count > 0}


class ReceivedIndex:
    """Arrivals and decisions by stamp; where a stamp comes several times, in order."""

    def __init__(self) -> None:
        """Start empty."""
        self.images: defaultdict[int, deque[int]] = defaultdict(deque)
        """When the image of a stamp arrived at the subscriber, nanoseconds."""
        self.masks: Counter[int] = Counter()
        self.decisions: defaultdict[int, deque[DecisionRow]] = defaultdict(deque)

    @property
    def played_rate(self) -> float | None:
        """Speed at which the images came, 1 being the recording's own; None without two of them."""
        came = [(arrived_ns, stamp) for stamp, times in self.images.items() for arrived_ns in times]
        (first_ns, first), (last_ns, last) = min(came, default=(0, 0)), max(came, default=(0, 0))
        played = last > first and last_ns > first_ns
        return round((last - first) / (last_ns - first_ns), 3) if played else None


class Instants:
    """The moments at which a subscriber had each image, on its own clock.

    An image that was lost on its way has the moment it would have come by its stamp and the rate.

    Args:
        index: What arrived.
        rate: Speed of playing.

    """

    def __init__(self, index: ReceivedIndex, rate: float) -> None:
        """Start before the first image."""
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
