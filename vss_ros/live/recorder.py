"""The node ``recorder``: writes topics into an MCAP bag, complete after SIGINT, SIGTERM or silence.

Where the disk is full it ends with status 2, and what was recorded is there, as an unfinished bag.

Examples:
  ros2 run vss_ros recorder -o run_1 /segmentation/mask /segmentation/key_frame
  ros2 run vss_ros recorder -o run_2 /camera/image_raw:sensor_msgs/msg/Image --until-topic-idle 5
"""

from __future__ import annotations

import struct
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from vss_ros.command_line import add, new_parser
from vss_ros.errors import VssError
from vss_ros.node.process import load_message_type, run_process
from vss_ros.recordings.bags import COMPRESSED_IMAGE, HEADER, HEADER_TOPIC, IMAGE, BagWriter, qos

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Sequence

    from rclpy.subscription import MessageInfo

    from vss_ros.node.process import StopRequest

_DEPTH = 50
_LOOK_AROUND_S = 0.2
_SPIN_S = 0.05
_QUIET_S = 0.1
_DRAIN_S = 2.0  # a camera that goes on must not keep the recorder
LITTLE_ENDIAN = 1
"""Bit of the second byte of CDR, the serialised form of a message."""


def header_bytes(data: bytes) -> bytes:
    """Return the first of a message's CDR bytes, its std_msgs/Header or the same fields of foxglove_msgs."""
    # After four bytes that say how and the stamp: the length of frame_id, end mark included, then its bytes.
    (length,) = struct.unpack_from('<I' if data[1] & LITTLE_ENDIAN else '>I', data, 12)
    return bytes(data[: 16 + length])


class Recorder(Node):
    """Subscribes to topics as they appear and writes their bytes as they come."""

    def __init__(
        self, topics: Sequence[str], bag: BagWriter, *, headers_of: Collection[str] = (), **options: Any
    ) -> None:
        """Start looking for the topics.

        Args:
            topics: Names, or ``name:type``. With a type, images are subscribed to at once (best effort); all
                others wait for their first publisher, whose quality of service decides.
            bag: An open bag.
            headers_of: Topics of whose messages only the header is written, under the topic's name followed
                by ``HEADER_TOPIC``: it says which large image came when, without its megabytes.
            options: Of the node, such as ``context``.
        """
        super().__init__('recorder', start_parameter_services=False, **options)
        self._bag = bag
        self._headers_of = {self.resolve_topic_name(name) for name in headers_of}
        self._wanted: dict[str, str] = {}
        for topic in topics:
            name, _, msgtype = topic.partition(':')
            self._wanted[self.resolve_topic_name(name)] = msgtype
        self.received = 0
        """Messages written so far."""
        self.last_ns = 0
        """When the last one came, on ``time.monotonic_ns``; 0 before the first."""
        self._look_around()
        self._timer = self.create_timer(_LOOK_AROUND_S, self._look_around)

    @property
    def missing(self) -> list[str]:
        """Topics that are not subscribed to yet."""
        return list(self._wanted)

    def _look_around(self) -> None:
        found = dict(self.get_topic_names_and_types())
        for topic, given in list(self._wanted.items()):
            msgtype = given or next(iter(found.get(topic, [])), '')
            publishers = self.get_publishers_info_by_topic(topic)
            if msgtype and (publishers or given in {IMAGE, COMPRESSED_IMAGE}):
                del self._wanted[topic]
                self._subscribe(topic, msgtype, publishers)

    def _subscribe(self, topic: str, msgtype: str, publishers: Sequence[Any]) -> None:
        message_type = load_message_type(msgtype)
        if message_type is None:
            self.get_logger().error(f'{topic} is not recorded: {msgtype} is not installed')
            return
        # The strictest that every publisher offers: a subscription that asks for more gets nothing.
        profiles = [publisher.qos_profile for publisher in publishers]
        reliable = {profile.reliability for profile in profiles} == {ReliabilityPolicy.RELIABLE}
        latched = {profile.durability for profile in profiles} == {DurabilityPolicy.TRANSIENT_LOCAL}
        written = (topic + HEADER_TOPIC, HEADER) if topic in self._headers_of else (topic, msgtype)
        try:
            self._bag.add_topic(*written, qos(latched=latched, reliable=reliable, depth=_DEPTH))
        except VssError as error:
            self.get_logger().error(f'{topic} is not recorded: {error}')
            return
        profile = QoSProfile(
            depth=_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        self.create_subscription(message_type, topic, partial(self._receive, topic), profile, raw=True)
        self.get_logger().info(f'recording {topic} ({msgtype})')

    def _receive(self, topic: str, data: bytes, info: MessageInfo) -> None:
        """Write one message under the time of its arrival in the middleware, however late its turn comes."""
        arrived_ns = info['received_timestamp'] or time.time_ns()
        if topic in self._headers_of:
            self._bag.write(topic + HEADER_TOPIC, arrived_ns, header_bytes(data))
        else:
            self._bag.write(topic, arrived_ns, data)
        self.received += 1
        self.last_ns = time.monotonic_ns()
        self.on_message(topic, data)

    def on_message(self, topic: str, data: bytes) -> None:
        """Look at a message that was written, CDR bytes; for classes that derive from this one."""

    def finish(self) -> None:
        """Write what the middleware still holds and leave the graph."""
        self.destroy_timer(self._timer)  # which would be served before messages that wait
        now = begin = quiet_since = time.monotonic()
        while now < min(quiet_since + _QUIET_S, begin + _DRAIN_S):
            written = self.received
            self.executor.spin_once(timeout_sec=_SPIN_S)
            now = time.monotonic()
            quiet_since = quiet_since if written == self.received else now
        self.executor.remove_node(self)
        self.destroy_node()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns 0 also after SIGINT and SIGTERM, 2 after an error of the user's concern."""
    return run_process('recorder', arguments, _run)


def _run(arguments: Sequence[str], stop: StopRequest) -> None:
    options = _parse(arguments)
    with BagWriter(options.output, overwrite=options.overwrite, keep=True) as bag:
        recorder = Recorder(options.topics, bag)
        executor = SingleThreadedExecutor()
        executor.add_node(recorder)
        idle_ns = options.until_topic_idle * 1e9
        while not stop.requested:
            executor.spin_once(timeout_sec=_SPIN_S)
            if idle_ns and recorder.last_ns and time.monotonic_ns() - recorder.last_ns > idle_ns:
                break
        recorder.finish()
        executor.shutdown()
        counts = ', '.join(f'{count} on {topic}' for topic, count in bag.counts.items()) or 'nothing'
        recorder.get_logger().info(f'{options.output}: {counts}')


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = new_parser('recorder', __doc__)
    add(parser, 'topics TOPIC[:TYPE]', 'topics to record', nargs='+')
    add(parser, '-o --output DIR', 'bag folder to make', required=True)
    add(parser, '--overwrite', 'replace a bag that exists')
    text = 'stop by itself after S seconds without a message (after the first one)'
    add(parser, '--until-topic-idle S', text, 0.0)
    return parser.parse_args(arguments)


if __name__ == '__main__':
    sys.exit(main())
