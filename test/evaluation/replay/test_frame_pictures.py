from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vss_ros.evaluation.replay.frame_pictures import (
    KINDS,
    WIDTH,
    WORST_FRAMES,
    WorstFrames,
    clear_pictures,
    picture_file,
    worst_pictures,
    write_pictures,
)
from vss_ros.evaluation.replay.result import InputResult
from vss_ros.evaluation.rows import FrameRow
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from vss_ros.evaluation.replay.result import FramePicture

ROW = FrameRow(0, 0, True, 'first', None, None, 0, 0, 'full', True, 0.5, None)
TABLE = load_classes('camvid11')


def decoded(text: str) -> NDArray[np.uint8]:
    """Return a picture, RGB."""
    data = np.frombuffer(b64decode(text), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]


def kept(scores: list[float | None], size: tuple[int, int] = (30, 40)) -> tuple[FramePicture, ...]:
    """Return what is kept of frames with these scores, which are grey by their number."""
    worst = WorstFrames(TABLE)
    for index, score in enumerate(scores):
        image = np.full((*size, 3), 10 * index % 256, np.uint8)
        truth = None if score is None else np.full(size, 3, np.uint8)
        worst.offer(
            replace(ROW, frame_index=index, score=score), image, truth, np.full((15, 20), 255, np.uint8)
        )
    return worst.pictures


def test_the_frames_of_lowest_score_are_kept_worst_first_and_the_earlier_of_equals() -> None:
    scores = np.random.default_rng(0).integers(0, 8, 40) / 10
    pictures = kept([*scores.tolist(), None])
    best_first = sorted(range(40), key=lambda index: (scores[index], index))
    assert [picture.frame_index for picture in pictures] == best_first[:WORST_FRAMES]
    for picture in pictures:
        assert abs(int(decoded(picture.image).mean()) - 10 * picture.frame_index % 256) <= 2


def test_pictures_are_small_and_labels_in_the_colours_of_their_classes() -> None:
    (picture,) = kept([0.1], (300, 1000))
    assert decoded(picture.image).shape == (120, WIDTH, 3)
    truth, mask = decoded(picture.truth), decoded(picture.mask)
    assert truth.shape == mask.shape == (120, WIDTH, 3)
    assert (truth == TABLE.colours[3]).all()
    assert (mask == 0).all(), 'void is black'


def test_files_of_worst_frames_over_all_inputs(tmp_path: Path) -> None:
    results = [InputResult('a', pictures=kept([0.3])), InputResult('b', pictures=kept([0.2]))]
    summary = {'worst': [{'input': 1, 'frame_index': 0}, {'input': 0, 'frame_index': 0}]}
    summary['worst'].append({'input': 0, 'frame_index': 7})
    pictures = worst_pictures(summary, results)
    assert pictures == [results[1].pictures[0], results[0].pictures[0], None]
    name = '../../etc/<b>' + 300 * 'x'
    write_pictures(tmp_path, 4, name, pictures)
    files = {picture_file(tmp_path, 4, name, rank, kind) for rank in (0, 1) for kind in KINDS}
    assert {path for path in tmp_path.rglob('*') if path.is_file()} == files
    assert {path.parent for path in files} == {tmp_path / 'worst'}
    clear_pictures(tmp_path)
    assert not list((tmp_path / 'worst').iterdir())


def test_pictures_go_through_json_with_their_result() -> None:
    result = InputResult('a', pictures=kept([0.3, 0.1]), class_colours=('#000000',), flops_key=3)
    assert InputResult.from_dict(result.to_dict()) == result
