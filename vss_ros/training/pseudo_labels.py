"""Pseudo-labels: video without labels, labelled by the backbone where it is sure."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from tqdm import tqdm

from vss_ros.datasets.labelled import LabelledVideo
from vss_ros.engine.confidence import confidence_upsampled
from vss_ros.engine.labels import argmax_upsampled
from vss_ros.engine.preprocess import network_size, scaled
from vss_ros.engine.view import look
from vss_ros.errors import VssError
from vss_ros.recordings.open import open_source, recordings_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from vss_ros.engine.backbones import Backbone

RATE = 15.0
"""Frames a second that distances are stated in; faster video is thinned."""
THUMBNAIL = (16, 12)
"""Width and height that images are compared at."""
ALIKE = 4.0
"""Mean difference of two thumbnails, of 255, below which they show the same. Frames of CamVid ``val`` differ
by 1.1 from themselves as JPEG of quality 20, by 1.2 to 5.5 from the next, by 15 and more from ``train``."""
CONFIDENCE = 0.8
"""Probability of the winning class below which a pixel is void. On streets the default backbone has not seen
(the embedded clip) 88 % of the pixels remain, of which 97.3 % are right; of all pixels 92.5 %."""
FRAMES = 600


@torch.inference_mode()
def pseudo_labelled(
    backbone: Backbone,
    path: Path,
    size: tuple[int, int],
    *,
    confidence: float = CONFIDENCE,
    frames: int = FRAMES,
    withheld: Iterable[NDArray[np.uint8]] = (),
) -> LabelledVideo:
    """Return the frames of recordings with the labels that the backbone gives them.

    Args:
        backbone: Trained, in evaluation mode.
        path: A video, bag or folder of images, or a folder of videos and bags.
        size: Height and width the backbone was trained for; frames get this area and keep their aspect.
        confidence: Probability of the winning class below which a pixel is void.
        frames: At most so many of each recording, from its start, at 15 Hz or less.
        withheld: Images that scores are measured on, of any size; frames that show the same are refused.

    Returns:
        All frames at the network's size, each labelled; void is the number of classes.

    Raises:
        VssError: Nothing readable, or a recording holds a withheld image.
    """
    known = np.array([_thumbnail(image) for image in withheld])
    images, labels, names, earlier = [], [], [], []
    for recording in recordings_in(path) or [path]:
        for index, image in enumerate(_frames(recording, frames)):
            if len(known) and np.abs(known - _thumbnail(image)).mean((1, 2, 3)).min() < ALIKE:
                msg = (
                    f'{recording}: expected video that no score is measured on, but frame {index} is in the '
                    f'evaluation set; leave this recording out'
                )
                raise VssError(msg)
            # At the size that the network would be given on the robot.
            camera = (image.shape[0], image.shape[1])
            given = backbone.fixed_size or network_size(camera, size, backbone.size_step)
            images.append(scaled(image, given))
            labels.append(_labels(backbone, images[-1], confidence))
            names.append(f'{recording.stem}_{index:06d}')
            earlier.append(index)
    return LabelledVideo(images, labels, names, images, list(range(len(images))), earlier)


def _frames(recording: Path, frames: int) -> Iterator[NDArray[np.uint8]]:
    with open_source(recording) as source:
        step = max(round((source.fps or RATE) / RATE), 1)
        total = frames if source.frame_count is None else min(frames, -(-source.frame_count // step))
        thinned = islice(source, 0, frames * step, step)
        name = f'pseudo-labels of {recording.name}'
        for frame, _ in tqdm(thinned, name, total, unit='frame', mininterval=2):
            yield frame.image


def _thumbnail(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32)


def _labels(backbone: Backbone, image: NDArray[np.uint8], confidence: float) -> NDArray[np.uint8]:
    logits = backbone.head(backbone.high(look(backbone, image[None]).low))
    size = (image.shape[0], image.shape[1])
    labels = argmax_upsampled(logits, size)
    labels[confidence_upsampled(logits, size) < 255 * confidence] = backbone.classes
    return labels
