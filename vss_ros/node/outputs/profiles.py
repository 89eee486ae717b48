"""What stacks of others read: which topics, in which encoding, with which class numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from vss_ros.errors import VssError
from vss_ros.node.process import load_message_type

if TYPE_CHECKING:
    from vss_ros.engine.options import NodeConfig


class Profile(NamedTuple):
    """One value of the parameter ``profile``."""

    mask: str = '~/mask'
    coloured: str = ''
    """Topic of the mask in the classes' colours, rgb8; empty: there is none."""
    run_length: bool = False
    """Whether the mask's data are runs (``images/run_length``) in place of pixels."""
    class_map: str = ''
    """Taken where the parameter ``class_map`` is empty."""
    label_info: bool = False
    """Whether its reader can do nothing without ``~/label_info``."""


PROFILES: Final = {
    'plain': Profile(),
    'nav2': Profile(label_info=True),
    'autoware': Profile(run_length=True, class_map='autoware'),
    'isaac': Profile('unet/raw_segmentation_mask', 'unet/colored_segmentation_mask'),
}
"""By their names: ``nav2`` is kiwicampus' semantic_segmentation_layer, ``autoware`` the
segmentation_pointcloud_fusion, ``isaac`` what reads isaac_ros_unet."""


def profile_of(config: NodeConfig) -> Profile:
    """Return the node's profile.

    Raises:
        VssError: Another parameter, or what is installed, does not go with it.
    """
    profile = PROFILES[config.profile]
    if config.profile != 'plain' and config.mask_encoding != 'mono8':
        raise VssError(
            f'expected mask_encoding mono8 with profile {config.profile}, whose readers take no other, '
            f'got {config.mask_encoding}'
        )
    if profile.label_info and load_message_type('vision_msgs/msg/LabelInfo') is None:
        raise VssError(
            f'expected vision_msgs with profile {config.profile}, whose reader needs ~/label_info, got none; '
            'install ros-$ROS_DISTRO-vision-msgs and source it'
        )
    return profile


def topic(name: str, base: str) -> str:
    """Return the name of a topic for one stream.

    Args:
        name: As the profile has it, of a node with one camera.
        base: ``~``, or ``~/front`` for one camera of several.
    """
    if name.startswith('~'):
        return base + name[1:]
    return f'{base[2:]}/{name}' if base != '~' else name
