"""One way to read frames from whatever holds them: a video, a folder of images, a bag.

Use it as ``with open_source('drive.mp4') as source: for frame, mask in source: ...``.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vss_ros.errors import VssError
from vss_ros.images.image_decoding import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.engine.frames import Frame

    OnReject = Callable[[str, VssError], None]

VIDEO_SUFFIXES = frozenset({'.mp4', '.avi', '.mkv', '.mov', '.webm', '.m4v', '.mpg', '.mpeg', '.ts', '.h264'})

_log = logging.getLogger(__name__)


class SourceFrame(NamedTuple):
    """One image of a source."""

    frame: Frame
    mask: NDArray[np.uint8] | None
    """True class ids, shape ``(H, W)`` like the image, or None where there are none."""


class Source(ABC):
    """Frames in order, with masks where there are any. Iterate it once; close it, best by ``with``."""

    def __init__(self, path: Path, on_reject: OnReject | None = None) -> None:
        """Remember where it comes from.

        Args:
            path: What was opened.
            on_reject: Called with a frame's name and the reason when a single frame is damaged; by default a
                warning is logged.
        """
        self.path = path
        self.rejected = 0
        """Damaged frames left out so far."""
        self.partial: str | None = None
        """Why only a part of it can be read, known at the latest after the last frame; None for all of it."""
        self._on_reject = on_reject

    @property
    @abstractmethod
    def frame_count(self) -> int | None:
        """Frames to expect, damaged ones included; None where the container does not say."""

    @property
    @abstractmethod
    def fps(self) -> float | None:
        """Mean frames per second; None where unknown."""

    @property
    @abstractmethod
    def has_masks(self) -> bool:
        """Whether frames come with masks (single ones may lack theirs)."""

    @property
    def files(self) -> list[Path]:
        """Files and folders that everything is read from."""
        return [self.path]

    @abstractmethod
    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the frames; indices count from 0 without gaps, damaged frames left out.

        Raises:
            VssError: The source is damaged beyond a single frame.
        """

    def close(self) -> None:  # noqa: B027 -- most sources hold nothing open
        """Release files; harmless when repeated."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def reject(self, name: str, error: VssError) -> None:
        """Count and report a frame that is left out."""
        self.rejected += 1
        if self._on_reject is not None:
            self._on_reject(name, error)
        else:
            _log.warning('%s: frame %s left out: %s', self.path, name, error)


def open_source(
    path: Path | str,
    *,
    image_topic: str | None = None,
    mask_topic: str | None = None,
    masks: Path | None = None,
    fps: float = 15.0,
    on_reject: OnReject | None = None,
) -> Source:
    """Open a video file, a folder of PNG/JPEG images, or a rosbag2 bag.

    Args:
        path: A folder with ``metadata.yaml`` or a ``.mcap``/``.db3`` file is a bag; another folder holds
            images, where CamVid's ``X/val`` + ``X/valannot``, ``images/`` + ``labels/`` and Cityscapes'
            ``leftImg8bit`` or ``leftImg8bit_sequence`` + ``gtFine`` are recognised.
        image_topic: Topic to read from a bag; needed only where several carry images.
        mask_topic: Topic with masks in a bag; found by itself where one topic's name holds ``mask``.
        masks: Folder of grey PNG masks for a video (by order) or image folder (by name).
        fps: Frames per second of an image folder, which has no stamps of its own.
        on_reject: Called with a damaged frame's name and the reason; by default a warning is logged.

    Returns:
        The open source, to be used in a ``with`` statement.

    Raises:
        VssError: There is nothing that can be read so.
    """
    # The readers are imported here so that a bag needs no video library and the other way round.
    path = Path(path)
    if not path.exists():
        raise VssError(f'expected a video, image folder or bag, got {path}, which does not exist')
    from vss_ros.recordings.bags import is_bag

    if is_bag(path):
        if masks is not None:
            raise VssError(f'expected the masks of a bag on a topic, got folder {masks}; name the mask topic')
        from vss_ros.recordings.bag_source import BagSource

        return BagSource(path, image_topic=image_topic, mask_topic=mask_topic, on_reject=on_reject)
    if image_topic or mask_topic:
        raise VssError(f'expected a bag for a topic ({image_topic or mask_topic}), got {path}; leave it out')
    if path.is_dir():
        from vss_ros.recordings.cityscapes_source import CityscapesSource, is_cityscapes
        from vss_ros.recordings.folder_source import FolderSource

        if is_cityscapes(path):
            return CityscapesSource(path, masks=masks, on_reject=on_reject)

        return FolderSource(path, masks=masks, fps=fps, on_reject=on_reject)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        from vss_ros.recordings.video_source import VideoSource

        return VideoSource(path, masks=masks, on_reject=on_reject)
    raise VssError(
        f'expected a video ({", ".join(sorted(VIDEO_SUFFIXES))}), an image folder or a bag '
        f'(.mcap, .db3 or its folder), got {path}; convert it with ffmpeg'
    )


def check_mask(mask: NDArray[np.uint8], image: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Refuse a mask of another size than its image.

    Raises:
        ImageError: The sizes differ.
    """
    if mask.shape != image.shape[:2]:
        raise ImageError('size', f"expected a mask of {name}'s size {image.shape[:2]}, got {mask.shape}")
    return mask


def is_mask_topic(topic: str) -> bool:
    """Say whether a topic's name promises class ids rather than camera images."""
    return 'mask' in topic
