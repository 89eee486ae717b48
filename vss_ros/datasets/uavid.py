"""UAVid (Lyu et al. 2020): oblique 4K views from a drone, every 100th frame labelled in colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.datasets.listing import Film, Listing, check_split, consecutive, contents, missing, refuse
from vss_ros.errors import VssError
from vss_ros.images.label_code import colour_code
from vss_ros.recordings.source import files_in

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.images.classes import ClassTable

IMAGES, LABELS = 'Images', 'Labels'
TABLE = 'uavid8'
LABELLED_EVERY = 100


def list_uavid(root: Path, split: str, table: ClassTable) -> Listing:
    """List the labelled frames of all sequences of a split.

    As published, ``Images`` holds the labelled frames alone, which are stills. Where the frames of the videos
    between them were written there too, under their own numbers, those directly before come with them.

    Files are ``uavid_train/seqN/Images/000000.png`` and ``.../Labels/000000.png``, likewise of ``val``; the
    labels of ``test`` are not public. The classes are ``uavid8``, or merged from it.

    Raises:
        VssError: Another split, no sequences, files that are missing or have other names, in one message.
    """
    folder = root / f'uavid_{split}'
    check_split(root, split, 'UAVid')
    sequences = sorted((p for p in folder.glob('seq*') if p.is_dir()), key=lambda p: (len(p.name), p.name))
    if not sequences:
        have = contents(root)
        raise VssError(f'{root}: expected {folder.name}/seqN/{IMAGES}, got {have}; name the folder above')
    refuse(root, _faults(root, sequences), 'every 100th frame needs image and labels of the same name')
    images: list[Path] = []
    film = Film([], [], [])
    for sequence in sequences:
        files = files_in(sequence / IMAGES)
        counts = consecutive([int(path.stem) for path in files])
        for place, path in enumerate(files):
            if (sequence / LABELS / path.name).is_file():
                images.append(path)
                film.places.append(len(film.frames) + place)
                film.earlier.append(counts[place])
        film.frames.extend(files)
    labels = [image.parent.parent / LABELS / image.name for image in images]
    return Listing(images, labels, colour_code(table, TABLE), film)


def _faults(root: Path, sequences: list[Path]) -> list[str]:
    faults = []
    for sequence in sequences:
        folders = [sequence / kind for kind in (IMAGES, LABELS) if (sequence / kind).is_dir()]
        have = [path for folder in folders for path in files_in(folder)]
        faults += [f'{p.relative_to(root)} is no frame number' for p in have if not p.stem.isdecimal()]
        numbered = [p for p in have if p.stem.isdecimal()]
        labelled = (p for p in numbered if p.parent.name == LABELS or int(p.stem) % LABELLED_EVERY == 0)
        wanted = sorted({p.name for p in labelled})
        # A folder that is missing altogether is reported once, not for each file it would have held.
        wanted = wanted or ['000000.png']
        faults += missing(root, [sequence / kind / name for kind in (IMAGES, LABELS) for name in wanted])
    return faults
