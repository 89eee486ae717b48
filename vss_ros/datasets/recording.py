"""Any bag, video or folder with masks, as :func:`vss_ros.recordings.source.open_source` reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from vss_ros.datasets.labelled import LabelledVideo
from vss_ros.datasets.listing import FURTHEST, MEMORY_SHARE, free_memory, scaled
from vss_ros.errors import VssError
from vss_ros.images.label_code import id_code
from vss_ros.recordings.source import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.datasets.labelled import Pixels
    from vss_ros.datasets.layouts import DataOptions
    from vss_ros.images.classes import ClassTable


def read_recording(
    path: Path, table: ClassTable, options: DataOptions, *, scale_labels: bool = True
) -> LabelledVideo:
    """Read consecutive frames of which some or all have masks into memory.

    Args:
        path: Bag, video or image folder.
        table: The classes whose ids the masks hold.
        options: Size, every so many-th mask, topics of a bag, and the folder of masks beside ``path`` where
            these do not belong to it.
        scale_labels: Whether masks are scaled too.

    Returns:
        The frames up to the last that has a mask.

    Raises:
        VssError: Nothing readable, no masks, a mask with other ids, or more frames than memory takes.
    """
    code = id_code(table)
    frames: list[Pixels] = []
    labels: list[Pixels] = []
    places: list[int] = []
    room, masked = MEMORY_SHARE * free_memory(), 0
    with open_source(
        path,
        image_topic=options.image_topic or None,
        mask_topic=options.mask_topic or None,
        masks=path.parent / options.masks if options.masks else None,
    ) as source:
        for frame, mask in source:
            frames.append(scaled(frame.image, options.size, cv2.INTER_AREA))
            if len(frames) * frames[0].nbytes > room:
                raise _too_long(path, len(frames))
            masked += mask is not None
            if mask is None or (masked - 1) % options.every:
                continue
            ids = code.from_grey(mask, f'{path} frame {frame.index}')
            labels.append(scaled(ids, options.size if scale_labels else None, cv2.INTER_NEAREST_EXACT))
            places.append(len(frames) - 1)
    if not places:
        raise VssError(
            f'{path}: expected frames with masks, got {len(frames)} frames and no mask; '
            'name the mask_topic, or the folder of masks'
        )
    frames = frames[: places[-1] + 1]
    earlier = [min(place, FURTHEST) for place in places]
    names = [f'{path.stem}_{place:06d}' for place in places]
    return LabelledVideo([frames[place] for place in places], labels, names, frames, places, earlier)


def _too_long(path: Path, frames: int) -> VssError:
    return VssError(
        f'{path}: expected frames that fit into a quarter of the free memory, got more after '
        f'{frames}; state a smaller size, or divide the recording'
    )
