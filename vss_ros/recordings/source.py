"""What a source is: frames in order, with their masks, read from a video, a folder of images or a bag.

Which mask belongs to which frame: by stamp in a bag, by name or number in a folder.
"""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from vss_ros.errors import VssError
from vss_ros.images.image_error import ImageError
from vss_ros.images.image_files import natural, read_file
from vss_ros.images.label_code import decode_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Self

    from numpy.typing import NDArray

    from vss_ros.engine.frames import Frame
    from vss_ros.images.classes import ClassTable

    OnReject = Callable[[str, VssError], None]

IMAGE_SUFFIXES = frozenset({'.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp'})
VIDEO_SUFFIXES = frozenset(
    {
        '.mp4',
        '.avi',
        '.mkv',
        '.mov',
        '.webm',
        '.m4v',
        '.mpg',
        '.mpeg',
        '.ts',
        '.mts',
        '.m2ts',
        '.h264',
        '.h265',
    }
    | {'.hevc', '.wmv', '.flv', '.3gp', '.ogv'}
)

_WILD: Final = re.compile(r'(%0?\d*d|\*|\?)')
_WILD_MEANING: Final = {'d': r'\d+', '*': '.*', '?': '.'}
NAMED = 20
"""Frames that are left out and named in the log; further ones are counted alone."""

_log = logging.getLogger(__name__)


class SourceFrame(NamedTuple):
    """One image of a source."""

    frame: Frame
    mask: NDArray[np.uint8] | None
    """True class ids, shape ``(H, W)`` like the image, or None where there are none."""


class Source(ABC):
    """Frames in order, with masks where there are any. Iterate it once; close it, best by ``with``."""

    def __init__(
        self, path: Path, on_reject: OnReject | None = None, table: ClassTable | None = None
    ) -> None:
        """Begin.

        Args:
            path: What is read.
            on_reject: Called with a damaged frame's name and the reason; default: a logged warning.
            table: The classes that masks are of, which may then be in its colours; None: grey ids, unchecked.
        """
        self.path, self.table = path, table
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
        self._first: VssError | None = None
        self._on_reject = on_reject

    @property
    def nothing(self) -> VssError:
        """What to raise where no frame came."""
        return VssError(f'{self.path}: expected at least one readable frame, got {self.refused or "none"}')

    @property
    def refused(self) -> str:
        """How many frames and masks were refused, and why the first; empty for none."""
        return f'none of {self.rejected}, the first because: {self._first}' if self._first else ''

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
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def reject(self, name: str, error: VssError) -> None:
        """Count and report a frame that is left out."""
        self.rejected += 1
        self._first = self._first or error
        if self._on_reject is not None:
            self._on_reject(name, error)
        elif self.rejected <= NAMED:
            _log.warning('%s: frame %s left out: %s', self.path, name, error)


def is_mask_topic(topic: str) -> bool:
    """Say whether a topic's name promises class ids rather than camera images."""
    return 'mask' in topic


def files_in(folder: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> list[Path]:
    """List a folder's files of some kinds in natural order, hidden files aside."""
    files = (f for f in folder.iterdir() if f.suffix.lower() in suffixes and not f.name.startswith('.'))
    return sorted(files, key=natural)


def is_pattern(path: Path) -> bool:
    """Say whether a path stands for images by their names: ``frame_%04d.png``, ``*.jpg``."""
    return bool(_WILD.search(path.name)) and not path.exists()


def matching(pattern: Path) -> list[Path]:
    """List the images that a pattern stands for, in natural order."""
    pieces = [
        _WILD_MEANING.get(piece[-1], piece) if _WILD.fullmatch(piece) else re.escape(piece)
        for piece in _WILD.split(pattern.name)
    ]
    name = re.compile(''.join(pieces))
    there = files_in(pattern.parent) if pattern.parent.is_dir() else []
    return [file for file in there if name.fullmatch(file.name)]


# ------------------------------------------------------------------ which mask belongs to which frame

_PATIENCE: Final = 20
"""How many masks, and images, from the beginning on may go without a pair before the recording is refused."""


def _check_size(mask: NDArray[np.uint8], image: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Return a mask of the image's size; one of half or double its sides is brought to it."""
    (height, width), size = mask.shape, image.shape[:2]
    if size in {(2 * height, 2 * width), (height / 2, width / 2)}:
        return np.asarray(cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    if mask.shape != size:
        raise ImageError('size', f"expected a mask of {name}'s size {image.shape[:2]}, got {mask.shape}")
    return mask


def read_mask(
    file: Path, image: NDArray[np.uint8], name: str, table: ClassTable | None = None
) -> NDArray[np.uint8]:
    """Read the mask of an image, whose name is for messages.

    Raises:
        ImageError: It is damaged, holds no ids (with a table: nor its colours), or is of another size.
    """
    return _check_size(decode_ids(read_file(file), table, file.name), image, name)


def mask_files(folder: Path) -> list[Path]:
    """List a folder's PNG masks in natural order.

    Raises:
        VssError: There are none.
    """
    files = files_in(folder, frozenset({'.png'})) if folder.is_dir() else []
    if not files:
        raise VssError(f'expected a folder of PNG masks, got {folder}, which holds none')
    return files


class MaskPairs:
    """Finds the mask of each image of a stream by its stamp.

    A mask of another size than its image is that frame's damage. Where this is so of the first twenty, or of
    all, or where none of as many carries the stamp of an image, masks and images do not belong together.
    """

    def __init__(self, masks: Iterator[tuple[int, NDArray[np.uint8]]], name: str, *, strict: bool) -> None:
        """Take stamps in nanoseconds with class ids, in order of stamps; errors call them by ``name``.

        With ``strict`` no image is missing, so that masks can't be left over for that.
        """
        self._masks, self._name, self._strict = masks, name, strict
        self._held = next(masks, None)
        self._images = self._pairs = self._unpaired = 0
        self._misfit: ImageError | None = None
        self._misfits = 0

    def mask_of(self, image: NDArray[np.uint8], stamp: int) -> NDArray[np.uint8] | None:
        """Return an image's class ids, shape ``(H, W)``; None where there is no mask of this stamp.

        Stamps are nanoseconds and come in order.

        Raises:
            ImageError: The mask has another size.
            VssError: So had all before, or none before had the stamp of an image.
        """
        self._images += 1
        while self._held is not None and self._held[0] < stamp:
            self._held = next(self._masks, None)
            self._unpaired += 1
        if min(self._unpaired, self._images) >= _PATIENCE:
            self._refuse_strangers()
        if self._held is None or self._held[0] != stamp:
            return None
        mask = self._held[1]
        self._held = next(self._masks, None)
        try:
            mask = _check_size(mask, image, f'stamp {stamp}')
        except ImageError as error:
            self._misfit = self._misfit or error
            self._misfits += 1
            if self._misfits >= _PATIENCE:
                self._refuse_misfits()
            raise
        self._pairs += 1
        return mask

    def finish(self, *, all_came: bool) -> None:
        """Judge the masks after the last image; ``all_came`` where none was left out as damaged.

        Raises:
            VssError: None belonged to an image.
        """
        self._refuse_misfits()
        self._unpaired += self._held is not None
        if all_came:
            self._refuse_strangers()

    def _refuse_misfits(self) -> None:
        if self._misfits and not self._pairs:
            raise VssError(
                f'{self._name}: the masks do not fit their images, {self._misfits} of {self._misfits}: '
                f'{self._misfit}; record masks as large as the images, or name another topic'
            )

    def _refuse_strangers(self) -> None:
        """Refuse masks of other times; where images are missing, some may rightly be left over."""
        if self._strict and self._unpaired and not (self._pairs or self._misfits):
            raise VssError(
                f'{self._name}: expected masks with the stamps of images, got {self._unpaired} with others; '
                f'give a mask the stamp of its image, or name another topic'
            )


STAMP_DIGITS = 12
"""A number with at least so many digits is a stamp in nanoseconds, not the number of a frame."""


class MaskFolder:
    """Finds the mask of a frame by what the files are called.

    Numbers of ``STAMP_DIGITS`` or more digits are header stamps in nanoseconds; otherwise as many masks as
    frames belong to them in the order of their names; otherwise plain numbers count the frames from 0.
    """

    def __init__(self, folder: Path, frame_count: int | None, table: ClassTable | None = None) -> None:
        """List the masks of a recording with so many frames (None where unknown); ``table`` as for sources.

        Raises:
            VssError: No masks, or names that say nothing.
        """
        files = mask_files(folder)
        self._table = table
        numbered = all(file.stem.isdecimal() for file in files)
        self.by_stamp = numbered and all(len(file.stem) >= STAMP_DIGITS for file in files)
        if self.by_stamp or (numbered and len(files) != frame_count):
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

        ``place`` is the frame's number in the recording, damaged ones included.

        Raises:
            ImageError: The mask is damaged or of another size than the image.
        """
        file = self._files.get(frame.stamp_ns if self.by_stamp else place)
        return None if file is None else read_mask(file, frame.image, file.name, self._table)
