"""Which kind of source a path is, and opening it.

Use it as ``with open_source('drive.mp4') as source: for frame, mask in source: ...``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vss_ros.errors import VssError
from vss_ros.images.image_files import natural
from vss_ros.recordings.bags import is_bag
from vss_ros.recordings.checked_bag import refuse_foreign
from vss_ros.recordings.image_folder import CityscapesFolder, ImageFolder, is_cityscapes
from vss_ros.recordings.source import IMAGE_SUFFIXES, VIDEO_SUFFIXES, files_in, is_pattern

if TYPE_CHECKING:
    from vss_ros.images.classes import ClassTable
    from vss_ros.recordings.source import OnReject, Source


def open_source(
    path: Path | str,
    *,
    image_topic: str | None = None,
    mask_topic: str | None = None,
    masks: Path | None = None,
    fps: float = 15.0,
    on_reject: OnReject | None = None,
    table: ClassTable | None = None,
) -> Source:
    """Open a video file, a folder of images, or a rosbag2 bag.

    Args:
        path: A folder with ``metadata.yaml`` or a ``.mcap``/``.db3`` file is a bag; another folder holds
            images, where CamVid's ``X/val`` + ``X/valannot``, ``images/`` + ``labels/`` and Cityscapes'
            ``leftImg8bit`` or ``leftImg8bit_sequence`` + ``gtFine`` are recognised. ``frame_%04d.png`` and
            ``*.jpg`` stand for the images so called.
        image_topic: Topic to read from a bag; needed only where several carry images.
        mask_topic: Topic with masks in a bag; found by itself where one topic's name holds ``mask``.
        masks: Folder of PNG masks for a video (by order) or image folder (by name).
        fps: Frames per second of an image folder, which has no stamps of its own.
        on_reject: Called with a damaged frame's name and the reason; by default a warning is logged.
        table: The classes of the masks, which may then be in their colours; None: grey ids, unchecked.

    Returns:
        The open source, to be used in a ``with`` statement.

    Raises:
        VssError: There is nothing that can be read so.
    """
    path = Path(path)
    if not path.exists() and not is_pattern(path):
        raise VssError(f'expected a video, image folder or bag, got {path}, {_why_not(str(path))}')
    refuse_foreign(path)
    if is_bag(path):
        if masks is not None:
            raise VssError(f'expected the masks of a bag on a topic, got folder {masks}; name the mask topic')
        from vss_ros.recordings.camera_bag import CameraBag

        topics = {'image_topic': image_topic, 'mask_topic': mask_topic}
        return CameraBag(path, **topics, on_reject=on_reject, table=table)
    if image_topic or mask_topic:
        raise VssError(f'expected a bag for a topic ({image_topic or mask_topic}), got {path}; leave it out')
    return _open_pictures(path, masks, fps, {'on_reject': on_reject, 'table': table})


def _open_pictures(path: Path, masks: Path | None, fps: float, more: Any) -> Source:
    """Open what is no bag; arguments and errors as ``open_source``."""
    if path.is_dir():
        if is_cityscapes(path):
            return CityscapesFolder(path, masks=masks, **more)
        return ImageFolder(path, masks=masks, fps=fps, **more)
    if path.suffix.lower() in IMAGE_SUFFIXES or is_pattern(path):
        return ImageFolder(path, masks=masks, fps=fps, **more)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        from vss_ros.recordings.video_file import VideoFile  # FFmpeg is loaded for videos alone

        return VideoFile(path, masks=masks, **more)
    raise VssError(
        f'expected a video ({", ".join(sorted(VIDEO_SUFFIXES))}), an image folder or a bag '
        f'(.mcap, .db3 or its folder), got {path}; convert it with ffmpeg'
    )


def is_recording(path: Path) -> bool:
    """Say whether a path looks like a bag or a video, rather than a folder of images."""
    return is_bag(path) or path.suffix.lower() in VIDEO_SUFFIXES


def recordings_in(path: Path) -> list[Path]:
    """List bags and videos right in a folder, hidden ones aside; none for a bag or among more images."""
    if not path.is_dir() or is_bag(path):
        return []
    found = [child for child in path.iterdir() if is_recording(child) and not child.name.startswith('.')]
    # A video among frames is a preview of them.
    return sorted(found, key=natural) if len(found) >= len(files_in(path)) else []


def _why_not(name: str) -> str:
    """Return why there is nothing of a name, and what to do."""
    if re.match(r'(rtsp|rtmp|udp|tcp|https?):', name) or name.isdecimal():
        return 'a live source; record it into a file by ffmpeg first, or run the node on it'
    return 'which does not exist'
