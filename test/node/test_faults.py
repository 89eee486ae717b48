"""Faults injected into the real node: it goes on, or says the cause in one line."""

from __future__ import annotations

import hashlib
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

import torch
from node_graph import Graph, image_message
from safetensors.torch import load_file, save_file

from experiments.robot import clip as clip_images
from vss_ros.engine.tracks import FastSlow
from vss_ros.engine.tracks import fast_slow as tracks
from vss_ros.node import segmentation_node, stream
from vss_ros.resources import resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = 'efficientnet_lite0_fpn'


def card_beside_weights(folder: Path) -> Path:
    """Copy a model into a folder; return its card's path."""
    for suffix in ('.yaml', '.safetensors'):
        shutil.copy(resource('models', NAME + suffix), folder)
    return folder / f'{NAME}.yaml'


def spoil(card: Path, value: float) -> str:
    """Write a value into all weights of convolutions; return the file's hash."""
    file = card.with_suffix('.safetensors')
    weights = load_file(file)
    save_file({k: torch.full_like(w, value) if w.ndim == 4 else w for k, w in weights.items()}, file)
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_slow_track_that_hangs_is_said_and_replaced(
    start: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = start(scheduler='fixed_interval', interval=40, threads=1)  # more than a computation takes
    monkeypatch.setattr(tracks, 'HANG_S', 2.0)
    assert graph.node._built is not None
    track = graph.node._built.segmenter.parts.track
    assert isinstance(track, FastSlow)
    compute, hanging, go = track.thread.compute, threading.Event(), threading.Event()

    def hang_once(entry: torch.Tensor) -> torch.Tensor:
        if not hanging.is_set():
            hanging.set()
            assert go.wait(120)
        return compute(entry)

    track.thread.compute, track.thread.longest = hang_once, 0.01
    (image,) = clip_images(1)

    def answered(condition: Callable[[], bool]) -> Callable[[], bool]:
        def check() -> bool:
            graph.send(image_message(image, graph.next_stamp()))
            return condition()

        return check

    graph.wait(answered(hanging.is_set), 'a computation that hangs')
    graph.wait(answered(lambda: graph.count('slow_track_errors') == 1), 'the watchdog')
    assert 'slow track: TimeoutError: no features after' in graph.diagnostics['last_trouble']
    status = graph.received['diagnostics'][-1].status[0]
    assert status.level == b'\x01'
    graph.received['key_frame'].clear()
    track.thread.longest = 1.0  # of the new thread, which has a busy machine
    accurate = lambda: any(d.features_accurate for d in graph.received['key_frame'])  # noqa: E731
    graph.wait(answered(accurate), 'features of the new slow track')
    assert graph.count('errors') == 0
    go.set()


def test_a_decoder_that_hangs_is_said_and_replaced(
    start: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, 'DECODING_S', 0.5)
    monkeypatch.setattr(segmentation_node, 'WATCH_S', 0.1)
    graph = start()
    (image,) = clip_images(1)
    graph.send(image_message(image, graph.next_stamp()))
    hung, go = threading.Event(), threading.Event()

    def hang(*given: object) -> None:
        hung.set()
        assert go.wait(120)

    graph.stream._intake.frame = hang  # type: ignore[method-assign, assignment]
    graph.camera.publish(image_message(image, graph.next_stamp()))
    graph.wait(hung.is_set, 'a decoder that hangs')
    graph.wait(lambda: graph.count('hangs') == 1, 'the watchdog')
    assert 'another decoder takes over' in graph.diagnostics['last_trouble']
    graph.wait(lambda: graph.camera.get_subscription_count() == 1, 'the node to subscribe again')
    last = graph.next_stamp()
    graph.send(image_message(image, last))
    graph.wait(lambda: graph.stamps('mask')[-1] == last, 'the mask after it')
    go.set()


def test_a_computation_that_hangs_ends_the_node(
    start: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, 'COMPUTING_S', 0.5)
    monkeypatch.setattr(segmentation_node, 'WATCH_S', 0.1)
    graph = start()
    assert graph.node._built is not None
    go = threading.Event()
    monkeypatch.setattr(graph.node._built.segmenter, 'step', lambda *_, **__: go.wait(120))
    (image,) = clip_images(1)
    graph.camera.publish(image_message(image, graph.next_stamp()))
    graph.wait(lambda: graph.node.exit_status == 1, 'the end')
    go.set()


def test_the_transition_shutdown_lets_the_process_end(start: Callable[..., Graph]) -> None:
    graph = start(start=False)
    assert graph.node.exit_status is None
    assert graph.node.trigger_shutdown().name == 'SUCCESS'
    assert graph.node.exit_status == 0


@pytest.mark.parametrize(
    ('value', 'said'), [(float('nan'), 'holds NaN or infinity'), (6e4, 'expected finite features')]
)
def test_weights_that_are_not_finite_are_found_before_the_first_image(
    value: float, said: str, start: Callable[..., Graph], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    card = card_beside_weights(tmp_path)
    before = hashlib.sha256(card.with_suffix('.safetensors').read_bytes()).hexdigest()
    card.write_text(card.read_text().replace(before, spoil(card, value)))
    graph = start(model=str(card), propagation='none', start=False)
    assert graph.node.trigger_configure().name == 'FAILURE'
    (line,) = [line for line in capfd.readouterr().err.splitlines() if 'cannot configure: ' in line]
    assert said in line


def test_weights_that_change_under_a_running_node_change_no_mask(
    start: Callable[..., Graph], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    card = card_beside_weights(tmp_path)
    graph = start(model=str(card), propagation='none')
    (image,) = clip_images(1)
    graph.send(image_message(image, graph.next_stamp()))
    spoil(card, 0.0)
    graph.send(image_message(image, graph.next_stamp()))
    graph.wait(lambda: len(graph.received['mask']) == 2, 'two masks')
    first, second = graph.received['mask']
    assert first.data == second.data
    for transition in ('deactivate', 'cleanup'):
        assert getattr(graph.node, f'trigger_{transition}')().name == 'SUCCESS'
    assert graph.node.trigger_configure().name == 'FAILURE'
    assert 'expected sha256' in capfd.readouterr().err


def test_a_subscription_that_cannot_be_made_leaves_neither_model_nor_thread(
    start: Callable[..., Graph], capfd: pytest.CaptureFixture[str]
) -> None:
    graph = start(start=False, **{'qos_overrides./image_raw.subscription.reliability': 'nonsense'})
    before = {*threading.enumerate()}
    assert graph.node.trigger_configure().name == 'SUCCESS'
    for _ in range(2):
        assert graph.node.trigger_activate().name == 'FAILURE'
        assert graph.node._built is None
        assert graph.stream._worker is None
        assert {*threading.enumerate()} <= before  # one of another test may end meanwhile
    assert capfd.readouterr().err.count('cannot activate: ') == 2
