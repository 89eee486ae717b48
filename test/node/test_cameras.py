"""Several cameras in one node over real DDS: each has its stream, and none holds another."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

from node_graph import Graph, image_message
from rclpy.parameter import Parameter

from experiments.robot import clip as clip_images

if TYPE_CHECKING:
    from collections.abc import Callable

BOTH = ['front', 'rear']


def test_each_camera_has_its_topics_its_stream_and_its_status(start: Callable[..., Graph]) -> None:
    graph = start(cameras=BOTH, propagation='none', size='96x128')
    first, *_, last = clip_images(60)
    stamps: dict[str, list[int]] = {name: [] for name in BOTH}
    for _ in range(3):
        for name, image in (('front', first), ('rear', last)):
            stamps[name].append(graph.next_stamp())
            graph.cameras[name].publish(image_message(image, stamps[name][-1]))
            graph.wait(lambda name=name: graph.stamps(f'{name}/mask') == stamps[name], 'its mask')  # type: ignore[misc]
    masks = {name: {bytes(mask.data) for mask in graph.received[f'{name}/mask']} for name in BOTH}
    assert {name: len(each) for name, each in masks.items()} == {'front': 1, 'rear': 1}
    assert masks['front'] != masks['rear']
    for name in BOTH:
        assert [d.frame_index for d in graph.received[f'{name}/key_frame']] == [0, 1, 2]
    graph.wait(lambda: [graph.diagnostics_of(i)['answered'] for i in (0, 1)] == ['3', '3'], 'both counts')
    names = [status.name for status in graph.received['diagnostics'][-1].status]
    assert names == ['segmentation: front', 'segmentation: rear']
    assert graph.call('rear/reset').success
    graph.cameras['rear'].publish(image_message(last, graph.next_stamp()))
    graph.wait(lambda: len(graph.received['rear/mask']) == 4, 'a mask after the reset')


def test_a_camera_whose_decoding_hangs_or_fails_holds_no_other(start: Callable[..., Graph]) -> None:
    graph = start(cameras=BOTH, size='96x128')
    front, rear = graph.node._streams
    (image,) = clip_images(1)
    hung, go = threading.Event(), threading.Event()

    def hang(*given: object) -> None:
        hung.set()
        assert go.wait(120)

    front._intake.frame = hang  # type: ignore[method-assign, assignment]
    graph.cameras['front'].publish(image_message(image, graph.next_stamp()))
    graph.wait(hung.is_set, 'a decoder that hangs')
    sent = []
    for _ in range(5):
        sent.append(graph.next_stamp())
        graph.cameras['rear'].publish(image_message(image, sent[-1]))
        graph.wait(lambda: graph.stamps('rear/mask') == sent, 'the other camera to be answered')
    go.set()
    assert front.segmenter is not None
    step = front.segmenter.step

    def fail(*given: Any, **named: Any) -> Any:
        front.segmenter.step = step  # type: ignore[union-attr, method-assign]
        raise MemoryError

    front.stop()
    front.activate()
    front.segmenter.step = fail  # type: ignore[method-assign]
    graph.wait(lambda: graph.cameras['front'].get_subscription_count() == 1, 'the node to subscribe again')
    graph.wait(lambda: _answered(graph, 'front', image), 'the camera itself to be answered again')
    assert (_failed(front), _failed(rear)) == (1, 0)  # what a turn raises, ends it


def _answered(graph: Graph, camera: str, image: Any) -> bool:
    graph.cameras[camera].publish(image_message(image, graph.next_stamp()))
    return bool(graph.received[f'{camera}/mask'])


def _failed(stream: Any) -> int:
    return int(stream.statistics._counts['errors'])


def test_what_a_camera_has_for_itself(start: Callable[..., Graph]) -> None:
    own = {'front.qos': 'best_effort', 'front.threshold': 0.5, 'interval': 40, 'rear.mask_encoding': '16UC1'}
    graph = start(start=False, cameras='front, rear', outputs=(), **own)
    node = graph.node
    assert node.trigger_configure().name == 'SUCCESS'
    front, rear = (stream.segmenter for stream in node._streams)
    assert front is not None
    assert rear is not None
    assert front.network is rear.network  # weights and graphs once
    assert front.parts.track.thread is rear.parts.track.thread  # type: ignore[attr-defined]
    schedulers = front.parts.scheduler, rear.parts.scheduler
    assert [s.threshold for s in schedulers] == [0.5, schedulers[1].default_threshold]
    assert [s.max_interval for s in schedulers] == [40, 40]
    assert [stream._config.mask_encoding for stream in node._streams] == ['mono8', '16UC1']
    assert [stream._config.qos for stream in node._streams] == ['best_effort', 'auto']
    (taken,) = node.set_parameters([Parameter('rear.threshold', value=0.25)])
    assert taken.successful
    assert [s.threshold for s in schedulers] == [0.5, 0.25]
    for parameter, said in (
        (Parameter('threshold', value=0.1), 'set front.threshold, rear.threshold'),
        (Parameter('rear.qos', value='reliable'), 'rear.qos is fixed once the node is configured'),
        (Parameter('rear.interval', value=-3), 'range'),
        (Parameter('cameras', value=['front']), 'cameras is fixed'),
    ):
        (refused,) = node.set_parameters([parameter])
        assert not refused.successful
        assert said in refused.reason
