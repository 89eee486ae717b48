"""Which source of motion says how a vehicle usually drives."""

from __future__ import annotations

import numpy as np

from vss_ros.datasets.labelled import LabelledImages, LabelledVideo
from vss_ros.datasets.pairs import StillPairs, VideoPairs
from vss_ros.images.classes import load_classes
from vss_ros.training.data_sets import typical_drive


def test_consecutive_frames_tell_how_a_vehicle_drives_stills_only_where_there_are_none() -> None:
    images = [np.zeros((32, 32, 3), np.uint8)] * 3
    labels = [np.zeros((32, 32), np.uint8)] * 3
    numbers = [0, 1, 2]
    names = [str(number) for number in numbers]
    stills = StillPairs(LabelledImages(images, labels, names), load_classes('camvid11'))
    drive = VideoPairs(LabelledVideo(images, labels, names, images, numbers, numbers))
    assert typical_drive({'stills': stills, 'drive': drive}, 2) is drive
    assert typical_drive({'drive': drive, 'stills': stills}, 2) is drive
    assert typical_drive({'stills': stills}, 2) is stills
    assert typical_drive({'stills': stills, 'drive': drive}, 3) is stills  # no frames so far apart
    assert typical_drive({'drive': drive, 'stills': stills}, 3) is drive
