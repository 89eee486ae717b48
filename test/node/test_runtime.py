"""The node says what computes, and what could not be compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vss_ros.engine.runtimes.openvino import OpenVinoRuntime

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from node_graph import Graph


def test_a_runtime_that_fails_is_in_the_diagnostics_and_masks_come_all_the_same(
    start: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    from node_graph import image_message

    from experiments.robot import clip as clip_images

    def refuse(*_: object, **__: object) -> Any:
        raise RuntimeError('no such operation')

    monkeypatch.setattr(OpenVinoRuntime, 'compile', refuse)
    graph = start(runtime='openvino', precision='f32', size='96x128', propagation='none', threads=1)
    graph.camera.publish(image_message(clip_images(1)[0], graph.next_stamp()))
    graph.wait(lambda: len(graph.received['mask']) == 1, 'a mask')
    graph.wait(lambda: 'runtime' in graph.diagnostics, 'diagnostics')
    assert graph.diagnostics['runtime'] == 'openvino f32'
    assert 'no such operation' in graph.diagnostics['runtime_faults']
