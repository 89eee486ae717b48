"""A user's own network answers the same in every runtime, at the size that its file takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from network_files import CLASSES, SIZE, Then, export, plain

from vss_ros.engine.options import SegmenterConfig
from vss_ros.errors import VssError
from vss_ros.evaluation.benchmark.network_file import NetworkFile

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
PLAIN = SegmenterConfig(runtime='onnxruntime', precision='f32', threads=1)


def test_both_runtimes_answer_the_same(tmp_path: Path) -> None:
    path = str(export(plain(), tmp_path / 'mine.onnx'))
    reference = NetworkFile(path, PLAIN).answer(IMAGE)
    assert reference.shape == SIZE  # labels of an image about twice as large go to the network's size
    assert len(np.unique(reference)) > 1
    answer = NetworkFile(path, replace(PLAIN, runtime='openvino')).answer(IMAGE)
    assert (answer == reference).mean() > 0.995


def test_a_file_that_takes_any_size_runs_at_the_benchmarks(tmp_path: Path) -> None:
    path = str(export(plain(), tmp_path / 'mine.onnx', dynamic=True))
    for runtime in ('onnxruntime', 'openvino'):
        network = NetworkFile(path, replace(PLAIN, runtime=runtime, size=(96, 128)))
        assert network.size == (96, 128)
        assert network.answer(IMAGE).shape == IMAGE.shape[:2]
    with pytest.raises(VssError, match='any size: say with --size'):
        NetworkFile(path, PLAIN)


def test_labels_are_taken_as_they_are(tmp_path: Path) -> None:
    path = str(export(Then(plain(), 'labels'), tmp_path / 'mine.onnx'))
    answer = NetworkFile(path, PLAIN).answer(IMAGE)
    assert answer.shape == (1, SIZE[0] // 4, SIZE[1] // 4)
    assert answer.max() < CLASSES


def test_what_is_no_network_of_an_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'x.pt2').write_bytes(b'')
    with pytest.raises(VssError, match=r'expected a network as an \.onnx file'):
        NetworkFile(str(tmp_path / 'x.pt2'), PLAIN)
    with pytest.raises(VssError, match=r'expected a network as an \.onnx file'):
        NetworkFile(str(tmp_path / 'gone.onnx'), PLAIN)
