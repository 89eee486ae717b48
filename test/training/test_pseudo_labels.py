"""Pseudo-labels: consecutive frames of any recording, sure pixels only, never frames that are scored on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch
from engine_parts import backbone
from motion_parts import smooth

from vss_ros.datasets.labelled import LabelledImages
from vss_ros.datasets.pairs import StillPairs, VideoPairs
from vss_ros.datasets.synthetic_motion import Variety
from vss_ros.engine.labels import argmax_upsampled
from vss_ros.engine.view import look
from vss_ros.errors import VssError
from vss_ros.training.data_sets import triple_sources
from vss_ros.training.pseudo_labels import pseudo_labelled
from vss_ros.training.recipe import Recipe, TrainedOn

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (64, 96)


def write_frames(folder: Path, count: int, first: int = 0) -> list[np.ndarray]:
    """Write a folder of images and return them."""
    folder.mkdir(parents=True)
    images = [smooth(first + i, SIZE) for i in range(count)]
    for i, image in enumerate(images):
        cv2.imwrite(str(folder / f'{i:03d}.png'), image[..., ::-1])
    return images


def write_video(path: Path, count: int, fps: float, first: int = 0) -> None:
    """Write a video of rather different frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), fps, SIZE[::-1])
    for i in range(count):
        writer.write(np.ascontiguousarray(smooth(first + i, SIZE)[..., ::-1]))
    writer.release()


def test_a_folder_of_images_gets_the_networks_labels_void_where_it_is_not_sure(tmp_path: Path) -> None:
    images = write_frames(tmp_path / 'drive', 3)
    net = backbone()
    sure = pseudo_labelled(net, tmp_path / 'drive', SIZE, confidence=0.0)
    assert sure.names == ['drive_000000', 'drive_000001', 'drive_000002']
    assert sure.earlier == [0, 1, 2]
    with torch.inference_mode():
        logits = [net.head(net.high(look(net, image[None]).low)) for image in images]
    for image, found, labels, of_image in zip(images, sure.images, sure.labels, logits, strict=True):
        assert np.array_equal(found, image)
        assert np.array_equal(labels, argmax_upsampled(of_image, SIZE))
    middle = float(np.median([of_image.softmax(1).amax(1).numpy() for of_image in logits]))
    unsure = pseudo_labelled(net, tmp_path / 'drive', SIZE, confidence=middle)
    void = np.stack(unsure.labels) == net.classes
    assert 0.05 < void.mean() < 0.95
    assert np.array_equal(np.stack(unsure.labels)[~void], np.stack(sure.labels)[~void])


def test_a_folder_of_videos_gives_one_drive_each_at_about_15_hz(tmp_path: Path) -> None:
    write_video(tmp_path / 'a.mp4', 8, fps=30)
    write_video(tmp_path / 'b.mp4', 5, fps=15, first=50)
    video = pseudo_labelled(backbone(), tmp_path, SIZE, frames=4)
    assert video.names == [*(f'a_{i:06d}' for i in range(4)), *(f'b_{i:06d}' for i in range(4))]
    assert video.earlier == [0, 1, 2, 3, 0, 1, 2, 3]
    assert video.images[0].shape == (*SIZE, 3)


def test_frames_keep_their_aspect_at_the_networks_area(tmp_path: Path) -> None:
    (tmp_path / 'wide').mkdir()
    cv2.imwrite(str(tmp_path / 'wide' / '0.png'), smooth(0, (100, 320)))
    video = pseudo_labelled(backbone(), tmp_path / 'wide', SIZE)
    assert video.images[0].shape == (32, 128, 3)  # 64 x 96 pixels as 100 to 320, in multiples of 32


@pytest.mark.parametrize('disguise', ['copy', 'jpeg', 'larger'])
def test_recordings_with_frames_to_be_scored_on_are_refused(disguise: str, tmp_path: Path) -> None:
    images = write_frames(tmp_path / 'drive', 3)
    withheld = images[2]
    if disguise == 'jpeg':
        coded = cv2.imencode('.jpg', withheld, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
        withheld = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    elif disguise == 'larger':
        withheld = cv2.resize(withheld, (130, 97))
    with pytest.raises(VssError, match=r'drive.*frame 2 is in the evaluation set.*leave this recording out'):
        pseudo_labelled(backbone(), tmp_path / 'drive', SIZE, withheld=[smooth(80, SIZE), withheld])


def test_a_recipe_draws_from_stills_and_recordings(tmp_path: Path) -> None:
    write_frames(tmp_path / 'drive', 6)
    recipe = Recipe(
        stage='pairs',
        model='x',
        data={
            'stills': TrainedOn(motion=Variety(blur=0)),
            'clips': TrainedOn(share=0.5, pseudo_labels=True, frames=5),
        },
    )
    stills = LabelledImages([smooth(90, SIZE)], [np.zeros(SIZE, np.uint8)], ['a'])
    arguments = (recipe, {'stills': stills}, {'clips': tmp_path / 'drive'}, backbone(), SIZE)
    sources = triple_sources(*arguments, None)
    assert [type(source) for source in sources.values()] == [StillPairs, VideoPairs]
    assert len(sources['clips']) == 5
    triple = sources['clips'].draw(4, (2, 3), (32, 32), np.random.default_rng(0))
    assert triple.labels.shape == (32, 32)
    evaluated = LabelledImages([smooth(3, SIZE)], [np.zeros(SIZE, np.uint8)], ['val'])
    with pytest.raises(VssError, match='evaluation set'):
        triple_sources(*arguments, evaluated)


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VssError, match='expected images'):
        pseudo_labelled(backbone(), tmp_path, SIZE)
