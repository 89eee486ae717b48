"""What a source is: frames in order, with their masks, read from a video, a folder of images or a bag."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.engine.frames import Frame
    from vss_ros.errors import VssError

    OnReject = Callable[[str, VssError], None]

IMAGE_SUFFIXES = frozenset({'.png', '.jpg', '.jpeg'})
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

        ``on_reject`` is called with a damaged frame's name and the reason; by default a warning is logged.
        """
        self.path = path
        self.frame_count: int | None = None
        """Frames to expect, damaged ones included; None where the container does not say."""
        self.fps: float | None = None
        """Mean frames per second; None where unknown."""
        self.has_masks = False
        """Whether frames come with masks (single ones may lack theirs)."""
        self.files = [path]
        """Files and folders that everything is read from."""
        self.rejected = 0
        """Damaged frames left out so far."""
        self.partial: str | None = None
        """Why only a part of it can be read, known at the latest after the last frame; None for all of it."""
        self._on_reject = on_reject

    @abstractmethod
    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the frames; indices count from 0 without gaps, damaged frames left out.

        Raises:
            VssError: The source is damaged beyond a single frame.
        """

    def frame_name(self, frame: Frame) -> str:
        """Return what a frame is called: the input's name and the frame's number, ``drive/000012``.

        Where images have files of their own it is the file's name after its two folders, without ending:
        ``seq16/Images/000100``.
        """
        return f'{self.path.stem}/{frame.index:06d}'

    def close(self) -> None:  # noqa: B027 -- most sources hold nothing open
        """Release files; harmless when repeated."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def reject(self, name: str, error: VssError) -> None:
        """Count and report a frame that is left out."""
        self.rejected += 1
        if self._on_reject is not None:
            self._on_reject(name, error)
        else:
            _log.warning('%s: frame %s left out: %s', self.path, name, error)


def is_mask_topic(topic: str) -> bool:
    """Say whether a topic's name promises class ids rather than camera images."""
    return 'mask' in topic


def files_in(folder: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> list[Path]:
    """List a folder's files of some kinds by name, hidden files aside."""
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in suffixes and not f.name.startswith('.'))
