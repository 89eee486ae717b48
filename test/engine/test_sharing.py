"""Streams that share a network: each answers as if it were alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from engine_parts import frame

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.device import CPU
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.preprocess import IMAGENET
from vss_ros.engine.runtimes import RUNTIMES, piece
from vss_ros.engine.tracks.sharing import SharedNetwork

if TYPE_CHECKING:
    from vss_ros.engine.frames import FrameResult
    from vss_ros.engine.pipeline import StreamSegmenter

CONFIG = SegmenterConfig(slow_delay=2, size=(96, 128), threads=1)


def answers(stream: StreamSegmenter, seeds: range) -> list[FrameResult]:
    return [stream.step(frame(index, size=(96, 128), seed=seed)) for index, seed in enumerate(seeds)]


def test_two_streams_in_turn_answer_as_each_alone() -> None:
    built = build_segmenter(CONFIG)
    shared = SharedNetwork(built, 2)
    seeds = range(5), range(100, 105)
    alone = [answers(shared.segmenter(CONFIG, print), each) for each in seeds]
    streams = [shared.segmenter(CONFIG, print) for _ in seeds]
    for index in range(5):
        for stream, each, expected in zip(streams, seeds, alone, strict=True):
            result = stream.step(frame(index, size=(96, 128), seed=each[index]))
            assert result.decision == expected[index].decision or index == 0
            assert np.array_equal(result.labels, expected[index].labels)
    built.segmenter.close()


@pytest.mark.parametrize('runtime', ['torch', 'openvino'])
def test_a_new_size_is_compiled_while_another_stream_has_its_turn(runtime: str) -> None:
    pytest.importorskip('openvino', reason='needs openvino: pip install openvino')
    config = SegmenterConfig(threads=1, runtime=runtime, precision='f32')
    built = build_segmenter(config)
    shared = SharedNetwork(built, 1)
    stream = shared.segmenter(config, print)
    with shared.turns:
        shared.prepare((180, 640))
        compute = built.segmenter.network.compute
        kept = dict(compute._forms)
        assert (runtime == 'torch') is (not kept)
        assert shared.knows((180, 640))
        assert not shared.knows((180, 200))
    assert stream.step(frame(0, size=(180, 640))).labels.shape == (180, 640)
    assert set(compute._forms) == set(kept)  # it found what it needs
    stream.close()
    built.segmenter.close()


def test_sizes_that_nobody_uses_any_more_make_room_and_others_stay() -> None:
    pytest.importorskip('openvino', reason='needs openvino: pip install openvino')
    runtime = RUNTIMES.get('openvino')(CPU, 'f32', 1)
    added = piece.Piece(runtime, lambda given: given + 1, [], IMAGENET)
    steady = torch.zeros(1, 3)
    added(steady)
    ((key, form),) = added._forms.items()
    for size in range(4, 4 + 3 * piece.MOST_FORMS):  # as many as somebody likes to send
        assert added(torch.zeros(1, size)).tolist() == [[1.0] * size]
        added(steady)
        assert added._forms[key] is form
    assert len(added._forms) == 2 * piece.MOST_FORMS


def test_a_size_that_cannot_be_compiled_leaves_the_others_their_graphs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip('openvino', reason='needs openvino: pip install openvino')
    runtime = RUNTIMES.get('openvino')(CPU, 'f32', 1)
    compile_graph = runtime.compile

    def choosy(work: Any, inputs: Any, cut: Any = None) -> Any:
        if inputs[0].shape[1] == 5:
            raise ValueError('no such size')
        return compile_graph(work, inputs, cut)

    monkeypatch.setattr(runtime, 'compile', choosy)
    added = piece.Piece(runtime, lambda given: given + 1, [], IMAGENET)
    added(torch.zeros(1, 3))
    with pytest.warns(RuntimeWarning, match='no such size'):
        assert added(torch.zeros(1, 5)).tolist() == [[1.0] * 5]
    assert added(torch.zeros(1, 5)).tolist() == [[1.0] * 5]
    assert [form is None for form in added._forms.values()] == [False, True]
    assert len(runtime.faults) == 1
