"""The executable ``segmentation_node``: starts the node, runs it until a signal, ends with a clear status."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from vss_ros.node.process import StopRequest, suit_images

if TYPE_CHECKING:
    from vss_ros.node.segmentation_node import SegmentationNode


def main(args: list[str] | None = None, kind: type[SegmentationNode] | None = None) -> int:
    """Run the node, or one of a kind derived from it, until SIGINT or SIGTERM.

    Returns:
        0 after a signal, whenever it came; 1 where the node could not start, with the reason in the log.
    """
    stop = StopRequest()  # before PyTorch is imported: seconds in which a signal may come
    suit_images()
    import rclpy
    from rclpy.exceptions import ParameterException
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    from vss_ros.node.segmentation_node import SUCCESS, SegmentationNode

    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = (kind or SegmentationNode)()
    except ParameterException as error:
        sys.stderr.write(f'segmentation_node: {error}\n')
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        wanted = bool(node.get_parameter('autostart').value)
        if wanted and not (node.trigger_configure() == SUCCESS and node.trigger_activate() == SUCCESS):
            return 1
        while not stop.requested:
            executor.spin_once(timeout_sec=0.1)
    finally:
        node.stop()
        executor.remove_node(node)
        node.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
