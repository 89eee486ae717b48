"""What counts as the same score."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest

from vss_ros.datasets.labelled import LabelledVideo
from vss_ros.evaluation.card_scores import TOLERANCE, clips_of, differences
from vss_ros.images.classes import load_classes


@pytest.mark.parametrize(
    ('stated', 'measured', 'said'),
    [
        (0.7, 0.7 + TOLERANCE, ''),
        (0.7, 0.7 - 1.1 * TOLERANCE, 'states 0.7, measured is 0.6989'),
        (nan, nan, ''),
        (nan, 0.5, 'states nan, measured is 0.5'),
        (0.5, nan, 'states 0.5, measured is nan'),
    ],
)
def test_within_tolerance_and_a_class_that_is_not_there(stated: float, measured: float, said: str) -> None:
    cards = ({'miou': 0.5, 'per_class_iou': {'sky': score}} for score in (stated, measured))
    faults = list(differences(*cards))
    assert [said in fault for fault in faults] == ([True] if said else [])


def test_a_score_that_no_card_states_is_a_fault() -> None:
    assert list(differences({}, {'miou': 0.5})) == ['miou: the card states nothing, measured is 0.5']


@pytest.mark.parametrize(('step', 'labelled'), [(2, [0, 1, 2, 3]), (None, [3])])
def test_frames_of_a_camera_are_taken_as_they_are_and_stills_set_in_motion(
    step: int | None, labelled: list[int]
) -> None:
    numbers = [7 + step * n for n in range(4)] if step else [4, 14, 20, 41]
    frames = [np.full((32, 48, 3), n, np.uint8) for n in range(4)]
    labels = [np.full((64, 96), n, np.uint8) for n in range(4)]  # as they are scored
    names = [f'frame_{number:04}' for number in numbers]
    video = LabelledVideo(frames, labels, names, frames, [0, 1, 2, 3], [0, 1, 2, 3])
    clips = list(clips_of(video, load_classes('camvid11'), 4, 2))
    assert [clip.labelled for clip in clips] == ([labelled] if step else [labelled] * 2)
    assert all(len(clip.images) == 4 for clip in clips)
    assert step or all(clip.labels[0].shape == (32, 48) for clip in clips)
