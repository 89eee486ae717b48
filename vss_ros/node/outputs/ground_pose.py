"""Where the camera is above the ground: by tf2 where it is installed, else by parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rclpy.time import Time

from vss_ros.errors import VssError
from vss_ros.images.ground import Pose

if TYPE_CHECKING:
    from rclpy.node import Node
    from std_msgs.msg import Header

    from vss_ros.engine.options import NodeConfig


class GroundPose:
    """Looks up poses of the camera's frame; listens to tf only while it is open."""

    def __init__(self, node: Node, config: NodeConfig) -> None:
        self._node, self._frame = node, config.ground_frame
        self._fixed = Pose.level(config.camera_height, config.camera_pitch) if config.camera_height else None
        self._buffer: Any = None
        self._listener: Any = None

    def listen(self, wanted: bool) -> None:
        """Listen to tf, or no longer; called by the executor's thread."""
        if self._fixed is not None or wanted is (self._listener is not None):
            return
        if not wanted:
            self._listener.unregister()
            self._buffer = self._listener = None
            return
        try:
            from tf2_ros import Buffer, TransformListener
        except ImportError:
            return
        self._buffer = Buffer()  # given the node it would leave a service behind
        self._listener = TransformListener(self._buffer, self._node)

    def of(self, header: Header) -> Pose:
        """Return the camera's pose when an image was taken; the newest one where that is not known.

        Raises:
            VssError: It is not known at all.
        """
        if self._fixed is not None:
            return self._fixed
        remedy = 'or set camera_height and camera_pitch'
        if self._buffer is None:
            raise VssError(
                f'expected tf2_ros to know where the camera is; install ros-$ROS_DISTRO-tf2-ros-py, {remedy}'
            )
        for at in (Time.from_msg(header.stamp), Time()):
            if self._buffer.can_transform(self._frame, header.frame_id, at):
                found = self._buffer.lookup_transform(self._frame, header.frame_id, at).transform
                q, t = found.rotation, found.translation
                return Pose.turned((q.x, q.y, q.z, q.w), (t.x, t.y, t.z))
        raise VssError(
            f'expected a transform from {header.frame_id!r} to {self._frame!r}, got none; publish it {remedy}'
        )
