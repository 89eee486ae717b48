"""The subscription to the camera, and what comes with images beside pixels.

Who publishes them and how, what never came, what stamps and frames say of the driver: counted and said.
"""

from __future__ import annotations

import threading
import time
from math import inf
from typing import TYPE_CHECKING, Any

from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import QoSProfile, ReliabilityPolicy

from vss_ros.node.conversions import header_of, stamp_to_ns
from vss_ros.node.intake import TRANSPORTS, reliability
from vss_ros.node.outputs.topics import overridable
from vss_ros.node.reader import LeftAlone, Reader
from vss_ros.node.serialised_image import image_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rclpy.node import Node

    from vss_ros.node.intake import Transport

STEADY = Clock(clock_type=ClockType.STEADY_TIME)
"""The machine's: with use_sim_time a paused simulation must not silence diagnostics."""
BEST_EFFORT = ReliabilityPolicy.BEST_EFFORT
FOLLOW_S = 0.5
"""Seconds between two looks at who publishes."""
YOUNG_S = 2.0
"""Seconds after activation in which a publisher that appears may have published before."""
MOST_HZ = 60
"""A publisher that numbers its first image higher than this rate allows was there before we saw it."""


AHEAD_NS = 10 * 10**9
"""A stamp that is further ahead of the node's clock is no time at which an image was taken."""
ALTERNATES_S = 5.0
"""Seconds in which a frame_id that comes again after another is a second camera's."""
PROFILE = 'the Fast DDS profile large_images.xml (README)'


class LossCounter:
    """Counts messages that were sent and never came, each once, from two accounts of it.

    The publisher numbers its messages, where the middleware hands numbers on (Fast DDS with rclpy from Jazzy
    on): a gap counts all, also those the publisher itself replaced before they were sent again. The event
    ``message_lost`` knows a part of them, but also what is lost before the first and after the last.
    """

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()  # messages and events come in different threads
        self._last: dict[bytes, int] = {}  # by publisher
        self._told = self._surplus = 0  # since the last message: lost by events, and by its gap beyond them
        self._seen: dict[bytes, float] = {}  # when a publisher appeared; inf: before or with us
        self._present: list[bytes] = []
        self._young_until = time.monotonic() + YOUNG_S

    def seen(self, publishers: Iterable[bytes]) -> None:
        """Take who publishes now, every ``FOLLOW_S``: what a new publisher sends from its start counts."""
        with self._lock:
            self._present = list(publishers)
            for publisher in self._present:
                self._seen.setdefault(publisher, self._appeared())

    def _appeared(self) -> float:
        now = time.monotonic()
        return now if now > self._young_until else inf

    def _first(self, publisher: bytes, number: int) -> int:
        """Return the number from which on a publisher's messages count, given the first that came."""
        seconds = time.monotonic() - self._seen.get(publisher, self._appeared()) + FOLLOW_S
        return 1 if number <= seconds * MOST_HZ else number

    def arrived(self, info: Mapping[str, Any]) -> bool:
        """Look at a message's information; return whether messages are missing before it."""
        number, gid = info.get('publication_sequence_number'), info.get('publisher_gid')
        if not number or not (gid or len(self._present) == 1):
            return False
        publisher = bytes(gid['data']) if gid else self._present[0]  # Jazzy's rclpy does not say whose it is
        with self._lock:
            last = self._last.get(publisher)
            gap = number - (self._first(publisher, number) - 1 if last is None else last) - 1
            self._last[publisher] = max(number, last or 0)
            self._surplus = surplus = max(gap - self._told, 0)
            self._told = 0
        if surplus:
            self._tell(surplus)
        return gap > 0

    def lost(self, number: int) -> None:
        """Take what an event says was lost."""
        with self._lock:
            known = min(number, self._surplus)
            self._surplus -= known
            self._told += number - known
        if number > known:
            self._tell(number - known)


class Camera:
    """The subscription to one camera's topic, which follows how it is published.

    Args:
        node: What subscribes.
        transport: Topic and type.
        qos: The parameter of that name.
        on_message: Called with each message, its information and whether messages are missing before it.
        note: Called with a counter's name, what to add, and a sentence that says it; empty: only counted.
    """

    def __init__(
        self,
        node: Node,
        transport: Transport,
        qos: str,
        on_message: Callable[[Any, Mapping[str, Any], bool], None],
        note: Callable[[str, int, str], None],
    ) -> None:
        self._node, self._transport, self._qos = node, transport, qos
        self.topic = node.resolve_topic_name(transport.topic)
        self._kind = transport.load()
        self._on_message, self._note = on_message, note
        self._losses = LossCounter(self._on_loss)
        self._missing = False
        self._stamp_ns: int | None = None
        self._frame_id: str | None = None
        self._left: dict[str, float] = {}  # frame_ids that others have followed, and when
        self._wanted: ReliabilityPolicy | None = None
        self._views = transport.message_type == TRANSPORTS['raw'].message_type
        self._reader: Reader | None = None
        self._group = LeftAlone()
        self.subscription: Any = None
        self.publishers = ''
        """One sentence: who publishes on the topic, which type and how."""
        self._follow()
        self._timer = node.create_timer(FOLLOW_S, self._follow, clock=STEADY)

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_timer(self._timer)
        self._unsubscribe()

    def _unsubscribe(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._node.destroy_subscription(self.subscription)
        self._reader = None

    def _follow(self) -> None:
        """Subscribe as the camera publishes; again where that has changed since."""
        node, topic = self._node, self._transport.topic
        publishers = node.get_publishers_info_by_topic(topic)
        self._losses.seen(bytes(publisher.endpoint_gid[:16]) for publisher in publishers)
        self.publishers = self._described(publishers)
        if self._reader is not None and not publishers:
            return
        wanted = reliability(self._qos, [publisher.qos_profile.reliability for publisher in publishers])
        if wanted == self._wanted:
            return
        self._wanted = wanted
        if self._reader is not None:
            self._unsubscribe()
            node.get_logger().info(f'subscribed anew, as the images come: {wanted.name.lower()}')
        self.subscription = node.create_subscription(
            self._kind,
            topic,
            self._arrived,
            QoSProfile(depth=self._transport.depth, reliability=wanted),
            callback_group=self._group,
            raw=self._views,
            event_callbacks=SubscriptionEventCallbacks(message_lost=self._on_lost),
            qos_overriding_options=overridable(node, topic, 'subscription'),
        )
        self._reader = Reader(self.subscription, node.context, self._on_error)

    def _described(self, publishers: Sequence[Any]) -> str:
        expected = self._transport.message_type
        if not publishers:
            return 'nobody publishes there; start the camera driver or set image_topic (remap image_raw)'
        said = []
        for publisher in publishers:
            who = f'{publisher.node_namespace.rstrip("/")}/{publisher.node_name}'
            said.append(
                f'{who} publishes {publisher.topic_type} {publisher.qos_profile.reliability.name.lower()}'
            )
        wrong = [publisher for publisher in publishers if publisher.topic_type != expected]
        if len(wrong) == len(publishers):
            return f'{", ".join(said)}, expected {expected}; set image_transport or another topic'
        best_effort = {publisher.qos_profile.reliability for publisher in publishers} == {BEST_EFFORT}
        if best_effort and self.subscription and self.subscription.qos_profile.reliability != BEST_EFFORT:
            return f'{", ".join(said)}, asked for reliable; set qos to auto'
        return f'{", ".join(said)}; if it is sending, {self._remedy}'

    @property
    def _remedy(self) -> str:
        if self._wanted == BEST_EFFORT:
            return f"let the camera's driver publish reliably, or give it {PROFILE}"
        return f"give the camera's driver {PROFILE}"

    def _arrived(self, message: Any, info: Mapping[str, Any]) -> None:
        self._missing |= self._losses.arrived(info)
        if self._views:
            message = image_of(message)
        header = header_of(message)
        self._look_at_stamp(stamp_to_ns(header.stamp))
        if header.frame_id != self._frame_id:
            self._look_at_frame(header.frame_id)
        missing, self._missing = self._missing, False
        self._on_message(message, info, missing)

    def _look_at_stamp(self, stamp_ns: int) -> None:
        before, self._stamp_ns = self._stamp_ns, stamp_ns
        ahead_ns = stamp_ns - self._node.get_clock().now().nanoseconds
        if stamp_ns == 0:
            self._note('stamp_zero', 1, "the image's stamp is 0; let the driver set the time of exposure")
        elif stamp_ns < 0:
            self._note('stamp_negative', 1, f"the image's stamp is {stamp_ns / 1e9:.3f} s; mend the driver")
        elif stamp_ns == before:
            self._note('stamp_equal', 1, 'two images have the same stamp; let one driver publish, each once')
        elif before is not None and stamp_ns < before:
            self._note('time_jump', 1, f'stamps went back by {(before - stamp_ns) / 1e9:.3f} s')
        elif ahead_ns > AHEAD_NS:
            said = f"the image's stamp is {ahead_ns / 1e9:.0f} s ahead of this node's clock"
            self._note('stamp_ahead', 1, f'{said}; synchronise clocks, or see use_sim_time')

    def _look_at_frame(self, frame_id: str) -> None:
        before, self._frame_id = self._frame_id, frame_id
        if before is None:
            return
        now = time.monotonic()
        self._left[before] = now
        self._note('frame_id_changes', 1, '')
        if now - self._left.get(frame_id, -inf) < ALTERNATES_S:
            said = f'frame_id alternates between {before!r} and {frame_id!r}: two cameras on one topic'
            self._note('frame_id_alternates', 1, f'{said}; {self.publishers}')

    def _on_error(self, error: BaseException) -> None:
        said = f'a message could not be taken: {type(error).__name__}: {error}; look at who publishes it'
        self._note('not_taken', 1, said)

    def _on_lost(self, event: Any) -> None:
        """Count what the middleware lost; of a video no picture is made from what rests on it."""
        self._missing = True
        self._losses.lost(event.total_count_change)

    def _on_loss(self, number: int) -> None:
        self._note('lost', number, f'{number} messages lost on the way; {self._remedy}')
