"""Find the files that ship with the package: configuration, models, the embedded clip."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGE = 'vss_ros'


def resource(*parts: str) -> Path:
    """Return the path of a shipped file or folder, e.g. ``resource('config', 'segment.yaml')``.

    A source checkout wins over an installed package, so that an edited file is the one that is used.

    Args:
        parts: Path below the package's top level, one component (or several, with ``/``) each.

    Raises:
        FileNotFoundError: It is in none of the places, which the message lists.
    """
    places = [root.joinpath(*parts) for root in _roots()]
    for place in places:
        if place.exists():
            return place
    wanted = '/'.join(parts)
    looked = ''.join(f'\n  {place}' for place in places)
    msg = (
        f'{wanted!r} does not ship with {PACKAGE}. Looked at:{looked}\n'
        f'Give an existing path, or reinstall {PACKAGE}.'
    )
    raise FileNotFoundError(msg)


def _roots() -> list[Path]:
    """Return the folders that may hold ``config/``, ``models/``, …, best first."""
    package = Path(__file__).resolve().parent
    roots = []
    if (package.parent / 'package.xml').is_file():
        roots.append(package.parent)
    roots.append(package / 'share')
    try:
        # Part of every ROS 2 installation, of no other.
        from ament_index_python.packages import get_package_share_directory
    except ImportError:
        return roots
    # LookupError: not in the index; OSError: no environment is sourced.
    with suppress(LookupError, OSError):
        roots.append(Path(get_package_share_directory(PACKAGE)))
    return roots


def large_image_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that make Fast DDS deliver images of several MB; see config/dds/large_images.xml.

    Args:
        environment: The environment to add to.

    Returns:
        Nothing where a profile is set already, which is kept.
    """
    old, new = 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'
    if environment.get(old) or environment.get(new):
        return {}
    # Fast DDS 3, from ROS 2 Kilted on, warns about the old name; the oldest releases know no other.
    name = old if environment.get('ROS_DISTRO') in {'humble', 'iron', 'jazzy'} else new
    return {name: str(resource('config', 'dds', 'large_images.xml'))}
