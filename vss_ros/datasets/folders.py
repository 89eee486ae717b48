"""Two folders, one of images and one of label PNGs: SegNet's CamVid and every data set that looks like it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vss_ros.datasets.listing import Film, Listing, contents, missing, refuse
from vss_ros.errors import VssError
from vss_ros.images.label_code import any_code
from vss_ros.recordings.source import files_in

if TYPE_CHECKING:
    from vss_ros.images.classes import ClassTable

FOLDERS = (('train', 'trainannot'), ('images', 'labels'), ('val', 'valannot'), ('test', 'testannot'))
"""Folders of images and of their labels, in the order in which they are looked for."""


def list_folders(root: Path, split: str, table: ClassTable) -> Listing:
    """List the stills of a pair of ``FOLDERS``; the labels hold ids (grey) or colours of the class table.

    Args:
        root: Holds the two folders.
        split: The image folder's name; the first pair found where empty.
        table: The classes.

    Raises:
        VssError: No such folders, or images without labels.
    """
    images, labels = _folders(root, split)
    files = files_in(images)
    wanted = [labels / f'{path.stem}.png' for path in files]
    refuse(root, missing(root, wanted), f'{labels.name}/ must hold one PNG per image in {images.name}/')
    return Listing(files, wanted, any_code(table))


def list_drives(root: Path, split: str, table: ClassTable) -> Listing:
    """List the same as consecutive frames; names are ``DRIVE_FRAME``, a drive's frames in order of names.

    Raises:
        VssError: As :func:`list_folders`.
    """
    found = list_folders(root, split, table)
    drives = [path.stem.rpartition('_')[0] for path in found.images]
    earlier: list[int] = []
    for place, drive in enumerate(drives):
        earlier.append(earlier[-1] + 1 if place and drive == drives[place - 1] else 0)
    film = Film(found.images, list(range(len(drives))), earlier)
    return replace(found, film=film)


def list_lists(root: Path, split: str, table: ClassTable) -> Listing:
    """List what SegNet's ``train.txt``, ``val.txt`` or ``test.txt`` says: an image and its labels a line.

    The lists SegNet came with name files as ``/SegNet/CamVid/train/0001TP_006690.png``; what does not exist
    there is looked for as ``train/0001TP_006690.png`` beside the list.

    Args:
        root: Holds the list.
        split: Its name without ``.txt``.
        table: The classes.

    Raises:
        VssError: No list, other lines, or files that are missing, all in one message.
    """
    path = root / f'{split}.txt'
    if not path.is_file():
        have = sorted(p.stem for p in root.glob('*.txt'))
        raise VssError(f'{root}: expected a list {path.name}, got {have}; name one of them as split')
    lines = [line.split() for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
    refuse(
        path,
        [f'line {n} has {len(words)} words' for n, words in enumerate(lines, 1) if len(words) != 2],
        'each line names an image and its label file',
    )
    images, labels = ([_beside(root, words[i]) for words in lines] for i in (0, 1))
    refuse(path, missing(root, images + labels), 'restore the files, or take them out of the list')
    return Listing(images, labels, any_code(table))


def has_folders(root: Path, split: str) -> bool:
    """Tell whether there is a pair of ``FOLDERS``."""
    return any(split in {'', a} and (root / a).is_dir() and (root / b).is_dir() for a, b in FOLDERS)


def _folders(root: Path, split: str) -> tuple[Path, Path]:
    for images, labels in FOLDERS:
        if split in {'', images} and (root / images).is_dir() and (root / labels).is_dir():
            return root / images, root / labels
    wanted = ' or '.join(f'{a}/ + {b}/' for a, b in FOLDERS if split in {'', a}) or f'a split of {FOLDERS}'
    raise VssError(f'{root}: expected {wanted}, found {contents(root)}; name the folder that holds them')


def _beside(root: Path, name: str) -> Path:
    """Return the file a list means."""
    path = Path(name)
    return path if path.is_absolute() and path.is_file() else root.joinpath(*path.parts[-2:])
