"""Small pictures of the frames with the lowest scores of an input: image, truth and answer."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from bisect import insort
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vss_ros.evaluation.replay.result import FramePicture
from vss_ros.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from vss_ros.evaluation.replay.result import InputResult
    from vss_ros.evaluation.rows import FrameRow
    from vss_ros.images.classes import ClassTable

WORST_FRAMES = 10
"""Frames of lowest score that are listed and shown."""
WIDTH = 400
"""Most pixels across a picture: enough to see what went wrong, and ten are no longer than an input's rows."""
JPEG_QUALITY = 85
FOLDER = 'worst'
"""Folder of the pictures, beside the results."""
KINDS = {'image': 'jpg', 'truth': 'png', 'mask': 'png'}
"""What is shown of a frame, and the ending of its file."""


class WorstFrames:
    """Keeps pictures of the frames of lowest score, drawn in the table's colours; void is black."""

    def __init__(self, table: ClassTable) -> None:
        self._table = table
        self._kept: list[tuple[tuple[float, int], FramePicture]] = []

    def offer(
        self,
        row: FrameRow,
        image: NDArray[np.uint8],
        truth: NDArray[np.uint8] | None,
        answer: NDArray[np.uint8],
    ) -> None:
        """Draw a frame if it is among the worst so far.

        Args:
            row: Says how right the answer is; frames without truth are never among the worst.
            image: RGB, ``(H, W, 3)``.
            truth: Class ids of any size.
            answer: Class ids of any size.
        """
        if row.score is None or truth is None:
            return
        rank = (row.score, row.frame_index)
        if len(self._kept) == WORST_FRAMES and rank >= self._kept[-1][0]:
            return
        height, width = image.shape[:2]
        scale = min(1.0, WIDTH / width)
        size = round(width * scale), max(round(height * scale), 1)
        photo = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        jpeg = _encoded('.jpg', photo, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        picture = FramePicture(row.frame_index, jpeg, self._drawn(truth, size), self._drawn(answer, size))
        insort(self._kept, (rank, picture), key=lambda entry: entry[0])
        del self._kept[WORST_FRAMES:]

    @property
    def pictures(self) -> tuple[FramePicture, ...]:
        """The pictures, worst first."""
        return tuple(picture for _, picture in self._kept)

    def _drawn(self, labels: NDArray[np.uint8], size: tuple[int, int]) -> str:
        small = np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        return _encoded('.png', self._table.colourise(small), [])


def _encoded(suffix: str, rgb: Any, options: list[int]) -> str:
    """Return an RGB picture as a file in Base64."""
    return b64encode(cv2.imencode(suffix, rgb[..., ::-1], options)[1].tobytes()).decode()


def worst_pictures(summary: Mapping[str, Any], results: Sequence[InputResult]) -> list[FramePicture | None]:
    """Return the pictures of the worst frames over all inputs, None for one that has no picture.

    Args:
        summary: Of ``summarise``.
        results: What it summarises.
    """
    found = [{picture.frame_index: picture for picture in result.pictures} for result in results]
    return [found[entry['input']].get(entry['frame_index']) for entry in summary['worst']]


def write_pictures(folder: Path, number: int, name: str, pictures: Sequence[FramePicture | None]) -> None:
    """Write the pictures of one configuration's worst frames, three files a frame.

    Args:
        folder: Of the results.
        number: Place of the configuration among all, from 0.
        name: Of the configuration.
        pictures: Worst first.
    """
    for rank, picture in enumerate(pictures):
        for kind in KINDS if picture is not None else ():
            write_whole(picture_file(folder, number, name, rank, kind), b64decode(getattr(picture, kind)))


def clear_pictures(folder: Path) -> None:
    """Remove the pictures of an evaluation before, whose configurations may have been others."""
    for kind, ending in KINDS.items():
        for file in (folder / FOLDER).glob(f'*_{kind}.{ending}'):
            file.unlink()


def picture_file(folder: Path, number: int, name: str, rank: int, kind: str) -> Path:
    """Return where a picture of one of ``KINDS`` lies; arguments as of ``write_pictures``, ranks from 0."""
    words = re.sub(r'[^\w.+=-]', '_', name)[:60]
    return folder / FOLDER / f'{number + 1:02}_{words}_{rank + 1:02}_{kind}.{KINDS[kind]}'
