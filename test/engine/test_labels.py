"""Plane-by-plane argmax against the plain computation."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from engine_parts import frame
from torch.nn.functional import interpolate

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.labels import argmax_upsampled, label_size, resize_labels
from vss_ros.engine.options import SegmenterConfig


def test_agrees_with_interpolate_and_argmax() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 11, 23, 30)
    full = interpolate(logits, size=(90, 120), mode='bilinear', align_corners=False)
    assert (argmax_upsampled(logits, (90, 120)) == full.argmax(1)[0].numpy()).mean() > 0.9999


def test_of_equally_likely_classes_the_first_wins_as_with_argmax() -> None:
    logits = torch.zeros(1, 4, 6, 8)
    logits[:, 1:3, :, 4:] = 2.0
    labels = argmax_upsampled(logits, (6, 8))
    assert np.array_equal(labels, logits.argmax(1)[0].numpy())
    assert np.unique(labels).tolist() == [0, 1]


def test_labels_that_have_the_size_are_copied() -> None:
    labels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    out = np.full((2, 3), 9, np.uint8)
    assert resize_labels(labels, (2, 3), out) is out
    assert np.array_equal(out, labels)
    copy = resize_labels(labels, (2, 3))
    assert copy is not labels
    assert np.array_equal(copy, labels)
    assert copy.dtype == np.uint8


def test_resize_writes_into_the_given_array() -> None:
    labels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    out = np.empty((4, 6), np.uint8)
    assert resize_labels(labels, (4, 6), out) is out
    assert np.array_equal(out, labels.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize('size', [(720, 960), (1080, 1920), (1024, 2048), (360, 500), (401, 480), (100, 90)])
def test_resize_is_opencvs_nearest_neighbour(size: tuple[int, int]) -> None:
    labels = np.random.default_rng(0).integers(0, 255, (352, 480), np.uint8)
    expected = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(resize_labels(labels, size), expected)


@pytest.mark.parametrize(
    ('camera', 'expected'),
    [((360, 480), (360, 480)), ((240, 320), (240, 320)), ((400, 528), (400, 528)), ((401, 528), (352, 480))],
)
def test_labels_of_an_image_not_much_larger_than_the_networks_come_at_its_size(
    camera: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert label_size(camera, (352, 480)) == expected


def test_the_default_network_answers_at_the_cameras_size_from_cells_that_halve_evenly() -> None:
    stream = build_segmenter(SegmenterConfig(propagation='none', device='cpu')).segmenter
    assert stream.network_size((360, 480)) == (352, 480)
    assert stream.step(frame(0, size=(360, 480))).labels.shape == (360, 480)
    for camera in ((720, 1280), (375, 1242)):
        assert not any(side % 32 for side in stream.network_size(camera))
    asked = build_segmenter(SegmenterConfig(propagation='none', device='cpu', size=(360, 480))).segmenter
    assert asked.network_size((720, 1280)) == (360, 480)
