"""Opens data sets as labelled images: from lists of files, which all layouts come down to, or a recording."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import cv2
import numpy as np
import simplejpeg
from pydantic import Field

from vss_ros.datasets.labelled import FileSequence, LabelledImages, LabelledVideo, read_together
from vss_ros.errors import VssError
from vss_ros.images.image_decoding import PNG_MAGIC
from vss_ros.images.image_error import ImageError
from vss_ros.images.image_files import Turn, read_file, read_image
from vss_ros.images.label_code import id_code
from vss_ros.recordings.open import open_source
from vss_ros.schema import FROM_LIST, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vss_ros.datasets.labelled import Pixels
    from vss_ros.images.classes import ClassTable
    from vss_ros.images.label_code import LabelCode

LISTED = 8
"""Faults an error names; the others are counted."""
FURTHEST = 30
"""Most frames before a labelled one that belong to its clip; nothing is propagated further."""
MEMORY_SHARE = 0.25
"""Of the memory that is free: data sets that need less are held, others stay on disk."""
LARGEST_SIDE = 4096
"""Pixels; larger images do not fit into any memory with their activations."""
Side = Annotated[int, Field(ge=1, le=LARGEST_SIDE)]


class Film(NamedTuple):
    """Videos of which some frames are labelled."""

    frames: list[Path]
    """All frames, those of a clip in order."""
    places: list[int]
    """Which of them are labelled, ascending."""
    earlier: list[int]
    """How many frames directly before each of these belong to its clip."""


class DataOptions(Schema):
    """How a data set is read; the fields are keys of a recipe's ``data`` and ``evaluate``."""

    layout: str = ''
    """One of ``LAYOUTS``; empty to find out."""
    split: str = ''
    """Such as ``train``; some layouts have one alone."""
    size: Annotated[tuple[Side, Side], FROM_LIST] | None = None
    """Height and width that images are scaled to; None for their own."""
    every: Annotated[int, Field(ge=1)] = 1
    """Take every so many-th labelled image."""
    image_topic: str = ''
    """Layout ``recording``: the topic to read from a bag with several."""
    mask_topic: str = ''
    """Layout ``recording``: the topic with the masks."""
    masks: str = ''
    """Layout ``recording``: a folder of masks beside the recording."""


ALL = DataOptions()
"""All images, at their own size."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of one data set."""

    images: list[Path]
    """Labelled images."""
    labels: list[Path]
    """Their label files."""
    code: LabelCode
    film: Film | None = None
    """None, or without earlier frames, where these are stills."""


def refuse(root: Path, faults: Sequence[str], remedy: str) -> None:
    """Raise one error that lists what is wrong with a data set, if anything is.

    Raises:
        VssError: With the first ``LISTED`` faults, the number of the others and the remedy.
    """
    if faults:
        more = f' and {len(faults) - LISTED} more' if len(faults) > LISTED else ''
        raise VssError(f'{root}: {len(faults)} faults: {"; ".join(faults[:LISTED])}{more}; {remedy}')


def contents(root: Path) -> list[str] | str:
    """Return the first names in a folder, for messages."""
    return sorted(p.name for p in root.glob('*'))[:8] if root.is_dir() else 'no folder'


def check_split(root: Path, split: str, data_set: str) -> None:
    """Raise a VssError for another split than ``train`` and ``val``, whose labels are not public."""
    if split not in {'train', 'val'}:
        raise VssError(
            f'{root}: expected a labelled split of {data_set} (train, val), got {split!r}; name one'
        )


def missing(root: Path, paths: Sequence[Path]) -> list[str]:
    """Return a fault for each file that does not exist, and one alone for each folder that does not."""
    folders = sorted({path.parent for path in paths})
    absent = {folder for folder in folders if not folder.is_dir()}
    faults = [f'folder {_below(root, folder)} is missing' for folder in folders if folder in absent]
    return faults + [
        f'{_below(root, path)} is missing'
        for path in paths
        if path.parent not in absent and not path.is_file()
    ]


def open_listing(
    root: Path, listing: Listing, options: DataOptions = ALL, *, scale_labels: bool = True
) -> LabelledImages:
    """Check that images and labels fit, and open them: in memory where they fit there, else from disk.

    All files exist; ``root`` is named in messages. ``scale_labels`` scales labels too (nearest neighbour);
    scores are better taken at the labels' own resolution.

    Raises:
        VssError: No images, or images and labels of different sizes, all in one message.
    """
    if not listing.images:
        raise VssError(f'{root}: expected labelled images, got none; name the folder that holds them')
    size, every = options.size, options.every
    images, labels = listing.images[::every], listing.labels[::every]
    faults = []
    for image, label in zip(images, labels, strict=True):
        have, want = image_size(label), image_size(image)
        if have != want:
            faults.append(f'{_below(root, label)} is {have[0]}x{have[1]}, its image {want[0]}x{want[1]}')
    refuse(root, faults, 'every label file must have the size of its image')

    def read_image(path: Path) -> Pixels:
        return scaled(_read_image(path), size, cv2.INTER_AREA)

    def read_labels(path: Path) -> Pixels:
        return scaled(listing.code.read(path), size if scale_labels else None, cv2.INTER_NEAREST_EXACT)

    film = listing.film if listing.film and any(listing.film.earlier) else None
    height, width = size or image_size(images[0])
    count = len(film.frames if film else images)
    held = (3 * count + len(labels)) * height * width <= MEMORY_SHARE * free_memory()

    def opened(files: list[Path], read: Callable[[Path], Pixels]) -> Sequence[Pixels]:
        on_disk = FileSequence(files, read)
        return read_together((on_disk, place) for place in range(len(files))) if held else on_disk

    maps = opened(labels, read_labels)
    names = [path.stem for path in images]
    if film is None:
        return LabelledImages(opened(images, read_image), maps, names)
    frames, places = opened(film.frames, read_image), film.places[::every]
    stills = [frames[place] for place in places] if held else FileSequence(images, read_image)
    earlier = [min(number, FURTHEST) for number in film.earlier[::every]]
    return LabelledVideo(stills, maps, names, frames, places, earlier)


def open_recording(
    path: Path, table: ClassTable, options: DataOptions, *, scale_labels: bool = True
) -> LabelledVideo:
    """Read consecutive frames of which some or all have masks into memory.

    ``path`` is a bag, video or image folder; its masks hold the ids of ``table``. The options say size, every
    so many-th mask, topics of a bag, and a folder of masks beside ``path`` where these do not belong to it.

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
    topics: dict[str, Any] = {name: getattr(options, name) or None for name in ('image_topic', 'mask_topic')}
    masks = path.parent / options.masks if options.masks else None
    with open_source(path, **topics, masks=masks, table=table) as source:
        for frame, mask in source:
            frames.append(scaled(frame.image, options.size, cv2.INTER_AREA))
            if len(frames) * frames[0].nbytes > room:
                raise VssError(
                    f'{path}: expected frames that fit into a quarter of the free memory, got more after '
                    f'{len(frames)}; state a smaller size, or divide the recording'
                )
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


def image_size(path: Path) -> tuple[int, int]:
    """Return height and width from a PNG's or JPEG's header.

    Raises:
        VssError: Neither, or not readable.
    """
    try:
        head = read_file(path, 24)
        if head.startswith(PNG_MAGIC) and len(head) == 24:
            width, height = struct.unpack('>II', head[16:])
            return height, width
        if not head.startswith(b'\xff\xd8'):
            height, width, _ = read_image(path).shape
            return height, width
        data = read_file(path)
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
    except (OSError, ValueError, ImageError) as error:
        raise VssError(f'{path}: expected a PNG or JPEG, got {error}; replace or remove it') from error
    return (width, height) if Turn.of_jpeg(data).transposed else (height, width)


def scaled(pixels: Pixels, size: tuple[int, int] | None, interpolation: int) -> Pixels:
    """Return pixels at a size, height and width; as they are where it is None."""
    if size is None or pixels.shape[:2] == size:
        return pixels
    return np.asarray(cv2.resize(pixels, (size[1], size[0]), interpolation=interpolation), np.uint8)


def free_memory() -> int:
    """Return the bytes of memory that programs may still take."""
    return os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')


def consecutive(numbers: Sequence[int], step: int = 1) -> list[int]:
    """Return for each of ascending frame numbers how many directly before it are at most ``step`` apart."""
    counts: list[int] = []
    for place, number in enumerate(numbers):
        follows = place > 0 and number - numbers[place - 1] <= step
        counts.append(counts[-1] + 1 if follows else 0)
    return counts


def _read_image(path: Path) -> Pixels:
    try:
        return read_image(path)
    except ImageError as error:
        raise VssError(f'{path}: {error}') from error


def _below(root: Path, path: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
