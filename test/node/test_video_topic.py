"""A compressed video topic over real DDS: stamps, I-frames, bursts, damage, joining in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip(
    'rclpy', reason='needs rclpy: run the tests with make test, or source a ROS 2 distribution'
)
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

from node_graph import Graph
from sensor_msgs.msg import CompressedImage
from video_parts import packets, panned

from vss_ros.errors import VssError
from vss_ros.node.conversions import ns_to_stamp
from vss_ros.node.intake import MOST_WAITING, TRANSPORTS, Received, merge
from vss_ros.node.process import load_message_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FRAME_NS = 66_666_667
START_NS = 10**9


def messages(count: int) -> list[CompressedImage]:
    """Return the packets of an MPEG-4 clip with an I-frame every 12."""
    made = []
    for i, packet in enumerate(packets(panned(count, (2, 1)))):
        message = CompressedImage(format=packet.format, data=bytes(packet.data))
        message.header.stamp = ns_to_stamp(START_NS + i * FRAME_NS)
        message.header.frame_id = 'camera'
        made.append(message)
    return made


@pytest.fixture
def start(ros_domain: dict[str, str]) -> Iterator[Callable[[], Graph]]:
    """Return a function that starts a small node on a video topic; it is closed after the test."""
    graphs: list[Graph] = []

    def make() -> Graph:
        graph = Graph(
            image_transport='video',
            propagation='flow_warp',
            motion='codec',
            scheduler='codec_keyframe',
            track='blocking',
            size='96x128',
        )
        graphs.append(graph)
        return graph

    yield make
    for graph in graphs:
        graph.close()


def places(graph: Graph, output: str) -> list[int]:
    """Return which messages came to an output, by their exact stamps."""
    found = [divmod(stamp - START_NS, FRAME_NS) for stamp in graph.stamps(output)]
    assert all(rest == 0 for _, rest in found)
    return [place for place, _ in found]


def decisions(graph: Graph) -> dict[int, tuple[bool, str]]:
    """Return key or not and why, by place."""
    return {
        place: (message.is_key_frame, message.reason)
        for place, message in zip(places(graph, 'key_frame'), graph.received['key_frame'], strict=True)
    }


def test_every_packet_in_turn(start: Callable[[], Graph]) -> None:
    graph = start()
    for message in messages(24):
        graph.send(message)
    graph.wait(lambda: len(graph.received['mask']) == 24, '24 masks')
    assert places(graph, 'mask') == list(range(24))
    expected = dict.fromkeys(range(24), (False, 'codec')) | {0: (True, 'first'), 12: (True, 'codec')}
    assert decisions(graph) == expected
    assert {(m.height, m.width, m.header.frame_id) for m in graph.received['mask']} == {(144, 192, 'camera')}
    assert graph.count('errors') == graph.count('rejected') == graph.count('overwritten') == 0


def test_a_burst_is_decoded_whole_and_its_i_frame_not_forgotten(start: Callable[[], Graph]) -> None:
    graph = start()
    stream = messages(24)
    graph.send(stream[0])
    for message in stream[1:]:
        graph.camera.publish(message)
    graph.wait(lambda: 23 in places(graph, 'mask'), 'the last mask')
    graph.wait(lambda: graph.count('answered') + graph.count('overwritten') == 24, 'the counters')
    assert graph.count('rejected') == graph.count('errors') == graph.count('waited_for_i_frame') == 0
    keys = [(place, reason) for place, (is_key, reason) in decisions(graph).items() if is_key]
    assert keys[0] == (0, 'first')
    assert len(keys) == 2
    assert keys[1][0] >= 12
    assert keys[1][1] == 'codec'


def test_damage_is_counted_and_the_stream_recovers_at_the_next_i_frame(start: Callable[[], Graph]) -> None:
    graph = start()
    stream = messages(15)
    stream[5].data = bytes(stream[5].data)[:100]
    for message in stream:
        graph.send(message)
    graph.wait(lambda: len(graph.received['mask']) == 8, '8 masks')
    assert places(graph, 'mask') == [0, 1, 2, 3, 4, 12, 13, 14]
    assert decisions(graph)[12] == (True, 'codec')
    assert graph.count('rejected') == graph.count('rejected_data') == 1
    assert graph.count('waited_for_i_frame') == 6
    assert graph.count('errors') == 0


def test_joined_in_the_middle_and_played_again_from_the_middle(
    start: Callable[[], Graph], capfd: pytest.CaptureFixture[str]
) -> None:
    graph = start()
    stream = messages(15)
    # The second round starts on packets that rest on pictures of the end of the first, or so it seems.
    for message in [*stream[8:], *stream[8:]]:
        graph.send(message)
    graph.wait(lambda: len(graph.received['mask']) == 6, '6 masks')
    assert places(graph, 'mask') == [12, 13, 14] * 2
    assert [m.reason for m in graph.received['key_frame'] if m.is_key_frame] == ['first', 'time_jump']
    assert graph.count('waited_for_i_frame') == 8
    assert graph.count('rejected') == 0
    assert capfd.readouterr().err.count('next I-frame') == 2


def test_a_lost_packet_leaves_nothing_that_rests_on_it(start: Callable[[], Graph]) -> None:
    graph = start()
    stream = messages(15)
    for message in stream[:4]:
        graph.send(message)
    graph.stream.camera._on_lost(type('Event', (), {'total_count_change': 1})())  # as the middleware tells it
    for message in stream[5:]:
        graph.send(message)
    graph.wait(lambda: len(graph.received['mask']) == 7, '7 masks')
    assert places(graph, 'mask') == [0, 1, 2, 3, 12, 13, 14]


def test_waiting_packets_are_put_together_up_to_a_limit() -> None:
    def item(name: str, at: float, **more: Any) -> Received:
        return Received((name,), at, int(at), **more)

    both = merge(item('a', 1.0), item('b', 2.0))
    assert both == Received(('a', 'b'), 2.0, 1)
    assert merge(item('a', 1.0, lost=True), item('b', 2.0)).lost
    assert merge(both, item('c', 3.0, lost=True)) == item('c', 3.0, lost=True)
    many = both
    for _ in range(MOST_WAITING - 2):
        many = merge(many, item('c', 3.0))
    assert len(many.messages) == MOST_WAITING
    assert not many.lost
    assert merge(many, item('d', 4.0)) == item('d', 4.0, lost=True)


@pytest.mark.parametrize('name', ['foxglove', 'ffmpeg'])
def test_a_transport_without_its_package_says_what_is_missing(name: str) -> None:
    transport = TRANSPORTS[name]
    package = transport.message_type.partition('/')[0]
    if load_message_type(transport.message_type) is not None:
        pytest.skip(f'{package} is installed here')
    with pytest.raises(VssError, match=f'install {package}'):
        transport.load()
