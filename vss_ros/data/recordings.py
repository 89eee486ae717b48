"""Any bag, video or folder with masks, as :func:`vss_ros.data.sources.open_source` reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from vss_ros.data.label_code import id_code
from vss_ros.data.labelled import LabelledVideo
from vss_ros.data.listing import FURTHEST, MEMORY_SHARE, free_memory, scaled
from vss_ros.data.sources import open_source
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.data.classes import ClassTable
    from vss_ros.data.labelled import Pixels


def read_recording(
    path: Path,
    table: ClassTable,
    size: tuple[int, int] | None = None,
    *,
    every: int = 1,
    image_topic: str = '',
    mask_topic: str = '',
    masks: str = '',
    scale_labels: bool = True,
) -> LabelledVideo:
    """Read consecutive frames of which some or all have masks into memory.

    Args:
        path: Bag, video or image folder.
        table: The classes whose ids the masks hold.
        size: Height and width the frames are scaled to; None for their own.
        every: Use every so many-th mask.
        image_topic: Topic to read from a bag, needed only where several carry images.
        mask_topic: Topic with masks in a bag, needed only where none stands out.
        masks: Folder of masks beside ``path``, where these do not belong to it.
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
        image_topic=image_topic or None,
        mask_topic=mask_topic or None,
        masks=path.parent / masks if masks else None,
    ) as source:
        for frame, mask in source:
            frames.append(scaled(frame.image, size, cv2.INTER_AREA))
            if len(frames) * frames[0].nbytes > room:
                raise VssError(
                    f'{path}: expected frames that fit into a quarter of the free memory, got more after '
                    f'{len(frames)}; state a smaller size, or divide the recording'
                )
            masked += mask is not None
            if mask is None or (masked - 1) % every:
                continue
            ids = code.from_grey(mask, f'{path} frame {frame.index}')
            labels.append(scaled(ids, size if scale_labels else None, cv2.INTER_NEAREST_EXACT))
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
