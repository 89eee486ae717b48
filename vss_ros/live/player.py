"""The node ``bag_player``: publishes a bag, video or image folder at the pace of the recording.

Messages of a bag are sent unchanged. Each is due at a time counted from the start, so that delays do not add
up. With --loop the stamps of each round repeat, that is, time jumps back; --restamp makes them go on instead.

Examples:
  ros2 run vss_ros bag_player street_bag --loop
  ros2 run vss_ros bag_player drive.mp4 --restamp --wait-subscribers 1 --progress
  ros2 run vss_ros bag_player street_bag --clock --ros-args -r /camera/image_raw:=/front/image_raw
"""

from __future__ import annotations

import struct
import sys
import time
from typing import TYPE_CHECKING, Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from tqdm import tqdm

from vss_ros.command_line import add, new_parser
from vss_ros.errors import VssError
from vss_ros.live.recorder import LITTLE_ENDIAN
from vss_ros.node.process import load_message_type, run_process
from vss_ros.recordings.bags import CAMERA_TYPES, IMAGE
from vss_ros.recordings.playback import open_playback

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vss_ros.node.process import StopRequest
    from vss_ros.recordings.playback import Playback, TimedMessage

_CLOCK_PERIOD_NS = 10_000_000
# A publisher learns of a subscription a moment before the subscription learns of the publisher.
_SETTLE_NS = 500_000_000


class BagPlayer(Node):
    """Publishes a playback on the topics it names."""

    def __init__(
        self, playback: Playback, stop: StopRequest, *, clock: bool = False, restamp: bool = False
    ) -> None:
        """Create the publishers.

        ``restamp`` moves header stamps to the present; their distances are divided by the rate.

        Raises:
            VssError: No topic's message type is installed.
        """
        super().__init__('bag_player', start_parameter_services=False)
        self._playback, self._stop, self._restamp = playback, stop, restamp
        self._publishers_by_topic: dict[str, Any] = {}
        self._camera: list[Any] = []
        self._with_header: set[str] = set()
        for topic in playback.topics:
            message_type = load_message_type(topic.msgtype)
            if message_type is None:
                self.get_logger().warning(f'{topic.name} is left out: {topic.msgtype} is not installed')
                continue
            # Reliable suits every subscription; a best-effort one just gets it best effort.
            durability = DurabilityPolicy.TRANSIENT_LOCAL if topic.latched else DurabilityPolicy.VOLATILE
            # Of a compressed video each packet is needed.
            depth = 30 if topic.msgtype in CAMERA_TYPES - {IMAGE} else 5
            qos = QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE, durability=durability)
            self._publishers_by_topic[topic.name] = self.create_publisher(message_type, topic.name, qos)
            if topic.is_camera:
                self._camera.append(self._publishers_by_topic[topic.name])
            first = next(iter(message_type.get_fields_and_field_types().items()), ('', ''))
            # foxglove_msgs begin with a stamp in place of a header.
            if first[1] == 'std_msgs/Header' or first == ('timestamp', 'builtin_interfaces/Time'):
                self._with_header.add(topic.name)
        if not self._publishers_by_topic:
            raise VssError('expected a topic whose message type is installed, got none; source its workspace')
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._clock_publisher = self.create_publisher(Clock, '/clock', best_effort) if clock else None
        self._next_tick_ns = 0
        # Of the round that is played: when it began, as a stamp, and the first stamp that was moved there.
        self._began_ns = 0
        self._first_stamp_ns: int | None = None

    def wait_for_subscribers(self, number: int) -> None:
        """Return once a camera topic (any topic where there is none) has that many subscriptions."""
        if number <= 0:
            return
        publishers = self._camera or list(self._publishers_by_topic.values())
        while max(publisher.get_subscription_count() for publisher in publishers) < number:
            if not self._stop.sleep_until(time.monotonic_ns() + _CLOCK_PERIOD_NS):
                return
        self._stop.sleep_until(time.monotonic_ns() + _SETTLE_NS)

    def play(self, rate: float, *, loop: bool = False, progress: bool = False) -> int:
        """Play at a speed, 1 being that of the recording, once or for ever; returns the messages sent."""
        sent = 0
        total = sum(topic.messages for topic in self._playback.topics) or None
        start_ns = time.monotonic_ns()
        while True:
            with tqdm(total=total, unit='message', disable=not progress) as bar:
                count, start_ns = self._play_once(start_ns, rate, bar)
            sent += count
            if not loop or not count or self._stop.requested:
                return sent

    def _play_once(self, start_ns: int, rate: float, bar: Any) -> tuple[int, int]:
        """Play one round; returns the messages sent and when the next round should start."""
        first_ns, last_ns, count = None, 0, 0
        for message in self._playback:
            if first_ns is None:
                first_ns = message.time_ns
                # What opening took is not caught up by a burst of images.
                start_ns = max(start_ns, time.monotonic_ns())
                self._began_ns = time.time_ns() + start_ns - time.monotonic_ns()
                self._first_stamp_ns = None
            last_ns = message.time_ns
            due_ns = start_ns + round((message.time_ns - first_ns) / rate)
            if not self._wait(due_ns, first_ns, start_ns, rate):
                break
            count += self._publish(message, rate)
            bar.update()
        # The last message lasts as long as the ones before it on average.
        busiest = max(topic.messages for topic in self._playback.topics)
        length_ns = last_ns - (first_ns or 0)
        return count, start_ns + round(length_ns * (1 + 1 / max(1, busiest - 1)) / rate)

    def _wait(self, due_ns: int, first_ns: int, start_ns: int, rate: float) -> bool:
        """Sleep until a message is due, with the clock ticking; returns whether to go on."""
        if self._clock_publisher is None:
            return self._stop.sleep_until(due_ns)
        while self._next_tick_ns <= due_ns:
            if not self._stop.sleep_until(self._next_tick_ns):
                return False
            now_ns = time.monotonic_ns()
            # Between two rounds the clock stands at the start of the next.
            elapsed_ns = max(0, now_ns - start_ns)
            tick = Clock()
            tick.clock.sec, tick.clock.nanosec = divmod(first_ns + round(elapsed_ns * rate), 10**9)
            self._clock_publisher.publish(tick)
            # From now rather than from the last tick: a late clock need not catch up.
            self._next_tick_ns = now_ns + _CLOCK_PERIOD_NS
        return self._stop.sleep_until(due_ns)

    def _publish(self, message: TimedMessage, rate: float) -> int:
        """Send one message; returns 1, or 0 where its type is not installed."""
        publisher = self._publishers_by_topic.get(message.topic)
        if publisher is None:
            return 0
        moved = self._restamp and message.topic in self._with_header
        publisher.publish(self._moved(message.data, rate) if moved else message.data)
        return 1

    def _moved(self, data: bytes, rate: float) -> bytes:
        """Return CDR bytes that begin with a header, their stamp moved to the present."""
        # Four bytes say how, then comes the first field: the stamp, two 32-bit numbers.
        layout = '<iI' if data[1] & LITTLE_ENDIAN else '>iI'
        seconds, nanoseconds = struct.unpack_from(layout, data, 4)
        stamp_ns = seconds * 10**9 + nanoseconds
        self._first_stamp_ns = stamp_ns if self._first_stamp_ns is None else self._first_stamp_ns
        moved_ns = self._began_ns + round((stamp_ns - self._first_stamp_ns) / rate)
        return data[:4] + struct.pack(layout, *divmod(moved_ns, 10**9)) + data[12:]

    def flush(self, seconds: float = 2.0) -> None:
        """Wait until reliable subscriptions have what was sent."""
        deadline = time.monotonic() + seconds
        for publisher in self._publishers_by_topic.values():
            left = max(0.0, deadline - time.monotonic())
            publisher.wait_for_all_acked(Duration(seconds=left))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns 0 also after SIGINT and SIGTERM, 2 after an error of the user's concern."""
    return run_process('bag_player', arguments, _run)


def _run(arguments: Sequence[str], stop: StopRequest) -> None:
    options = _parse(arguments)
    salvage = options.salvage
    with open_playback(options.source, topics=options.topics, fps=options.fps, salvage=salvage) as playback:
        player = BagPlayer(playback, stop, clock=options.clock, restamp=options.restamp)
        player.wait_for_subscribers(options.wait_subscribers)
        sent = 0
        if stop.sleep_until(time.monotonic_ns() + round(options.delay * 1e9)):
            sent = player.play(options.rate, loop=options.loop, progress=options.progress)
        player.flush()
        player.get_logger().info(f'{sent} messages sent')
        player.destroy_node()


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = new_parser('bag_player', __doc__)
    add(parser, 'source SOURCE', 'rosbag2 bag, video, or image folder')
    add(parser, '--rate', 'speed', 1.0)
    add(parser, '--loop', 'start again at the end')
    add(parser, '--clock', "publish the recording's time on /clock at 100 Hz")
    add(parser, '--restamp', 'replace header stamps by the present')
    add(parser, '--delay S', 'seconds before the first message', 0.0)
    add(parser, '--wait-subscribers N', 'wait for N subscriptions to the images', 0)
    add(parser, '--topics', 'play only these topics', [], nargs='+')
    add(parser, '--fps', 'rate of an image folder', 15.0)
    add(parser, '--salvage', 'read a bag first, and of a damaged one play what can be had')
    add(parser, '--progress', 'show a progress bar')
    options = parser.parse_args(arguments)
    if not options.rate > 0 or not options.delay >= 0:
        parser.error(f'expected --rate above 0 and --delay from 0 on, got {options.rate} and {options.delay}')
    if options.clock and options.restamp:
        parser.error('expected one of --clock and --restamp, got both: the stamps would not be of that clock')
    return options


if __name__ == '__main__':
    sys.exit(main())
