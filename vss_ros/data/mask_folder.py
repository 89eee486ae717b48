"""True masks in a folder of their own, for a video or a bag of which all or only some frames are labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.data.folder_source import mask_files, read_mask
from vss_ros.data.sources import check_mask
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.engine.frames import Frame

STAMP_DIGITS = 12
"""A number with at least so many digits is a stamp in nanoseconds, not the number of a frame."""


class MaskFolder:
    """Finds the mask of a frame by what the files are called.

    Numbers of ``STAMP_DIGITS`` or more digits are header stamps in nanoseconds; otherwise as many masks as
    frames belong to them in the order of their names; otherwise plain numbers count the frames from 0.
    """

    def __init__(self, folder: Path, frame_count: int | None) -> None:
        """List the masks and find out what their names say.

        Args:
            folder: Holds 8-bit grey PNGs of class ids.
            frame_count: Frames of the recording; None where it does not say.

        Raises:
            VssError: No masks, or names that tell nothing.
        """
        files = mask_files(folder)
        self.by_stamp = all(_is_number(file) and len(file.stem) >= STAMP_DIGITS for file in files)
        if self.by_stamp or (all(map(_is_number, files)) and len(files) != frame_count):
            self._files = {int(file.stem): file for file in files}
        elif len(files) == frame_count:
            self._files = dict(enumerate(files))
        else:
            raise VssError(
                f'expected a mask for each of {frame_count or "the"} frames in {folder}, or names that are '
                f'stamps in nanoseconds or frame numbers, got {len(files)} like {files[0].name}; rename them'
            )

    def mask_of(self, frame: Frame, place: int) -> NDArray[np.uint8] | None:
        """Return a frame's mask, shape ``(H, W)`` like the image, None where it has none.

        Args:
            frame: The frame.
            place: Its number in the recording, damaged frames included.

        Raises:
            ImageError: The mask is damaged or of another size than the image.
        """
        file = self._files.get(frame.stamp_ns if self.by_stamp else place)
        return None if file is None else check_mask(read_mask(file), frame.image, file.name)


def _is_number(file: Path) -> bool:
    return file.stem.isdecimal()
