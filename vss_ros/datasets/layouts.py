"""Data sets by the layout of their files: chosen by name, or found out where there is only one way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vss_ros.datasets import camvid, cityscapes
from vss_ros.datasets.camvid import list_camvid
from vss_ros.datasets.cityscapes import list_cityscapes, list_cityscapes_sequence
from vss_ros.datasets.folders import has_folders, list_drives, list_folders, list_lists
from vss_ros.datasets.listing import contents, open_listing, open_recording
from vss_ros.datasets.uavid import list_uavid
from vss_ros.errors import VssError
from vss_ros.recordings.open import is_recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vss_ros.datasets.labelled import LabelledImages
    from vss_ros.datasets.listing import DataOptions, Listing
    from vss_ros.images.classes import ClassTable


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to lay out a data set."""

    shape: str
    """What it looks like, for messages and help."""
    fits: Callable[[Path, str], bool]
    """Whether a folder looks like it, for a split."""
    files: Callable[[Path, str, ClassTable], Listing] | None
    """Lists its files, from the data set's folder, a split and the classes wanted; None for what is read
    through."""
    stills: str = ''
    """Layout that gives the same labelled images without the frames before them."""


def _has(*names: str) -> Callable[[Path, str], bool]:
    return lambda root, _: any((root / name).is_dir() for name in names)


LAYOUTS: dict[str, Layout] = {
    'folders': Layout('train/ + trainannot/ (val, test), or images/ + labels/', has_folders, list_folders),
    'drives': Layout(
        'the same, consecutive frames called DRIVE_FRAME',
        lambda root, split: split in {'', 'images'} and has_folders(root, 'images'),
        list_drives,
        stills='folders',
    ),
    'lists': Layout(
        'train.txt (val, test) with an image and its labels a line',
        lambda root, split: (root / f'{split}.txt').is_file() and not has_folders(root, split),
        list_lists,
    ),
    'camvid': Layout(
        '701_StillsRaw_full/ + LabeledApproved_full/', _has(camvid.IMAGES, camvid.LABELS), list_camvid
    ),
    'cityscapes': Layout('leftImg8bit/ + gtFine/', _has(cityscapes.IMAGES), list_cityscapes),
    'cityscapes_sequence': Layout(
        'leftImg8bit_sequence/ + gtFine/',
        _has(cityscapes.SEQUENCES),
        list_cityscapes_sequence,
        stills='cityscapes',
    ),
    'uavid': Layout(
        'uavid_train/seqN/Images/ + Labels/', _has('uavid_train', 'uavid_val', 'uavid_test'), list_uavid
    ),
    'recording': Layout('a bag or video with masks', lambda path, _: is_recording(path), None),
}
"""By the name a recipe calls them."""


def load_data(
    path: Path, options: DataOptions, table: ClassTable, *, moving: bool = False, scale_labels: bool = True
) -> LabelledImages:
    """Open a data set.

    Labels come as ids of ``table``, void as their number. ``scale_labels`` scales them with the images;
    scores are better taken without. ``moving`` says that the frames before the labelled ones are wanted, so
    that it matters whether there are.

    Returns:
        A :class:`~vss_ros.datasets.labelled.LabelledVideo` where such frames are there.

    Raises:
        VssError: Another layout, no layout that fits or several, or what the layout's reader refuses.
    """
    name = options.layout or find_layout(path, options.split, moving=moving)
    if name not in LAYOUTS:
        raise VssError(f'{path}: layout is {name!r}, expected one of: {", ".join(LAYOUTS)}')
    files = LAYOUTS[name].files
    if files is None:
        return open_recording(path, table, options, scale_labels=scale_labels)
    if not path.is_dir():
        raise VssError(f'{path}: expected a folder with {LAYOUTS[name].shape}; name one, or another layout')
    listing = files(path, options.split, table)
    return open_listing(path, listing, options, scale_labels=scale_labels)


def find_layout(path: Path, split: str, *, moving: bool) -> str:
    """Return the only layout that fits.

    ``split`` may be empty. Unless ``moving``, where the frames before the labelled ones matter, stills are
    taken for stills.

    Raises:
        VssError: None fits, or several do.
    """
    fitting = [name for name, layout in LAYOUTS.items() if layout.fits(path, split)]
    if not moving:
        fitting = [name for name in fitting if LAYOUTS[name].stills not in fitting]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        listed = '; '.join(f'{name}: {LAYOUTS[name].shape}' for name in fitting)
        raise VssError(f'{path}: several layouts fit; state layout in the recipe: {listed}')
    listed = '; '.join(f'{name}: {layout.shape}' for name, layout in LAYOUTS.items())
    raise VssError(f'{path}: expected a layout with split {split!r} among {listed}; got {contents(path)}')
