"""The executable ``segmentation_node``: starts the node, runs it until a signal, ends with a clear status."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

from vss_ros.node.process import StopRequest, start_ros, suit_images
from vss_ros.node.shared_memory import remove_orphans

if TYPE_CHECKING:
    from vss_ros.node.segmentation_node import SegmentationNode

LOOK_S = 0.25
"""After which it looks whether to stop; each look takes a millisecond that images may want."""


STOP_S = 0.7
"""Seconds for the image in hand, and for the slow track, to be finished after a signal."""


def main(args: list[str] | None = None, kind: type[SegmentationNode] | None = None) -> NoReturn:
    """Run the node, or one of a kind derived from it, until SIGINT or SIGTERM, and end the process.

    Its status is 0 after a signal, whenever it came, and 1 where the node could not start, with the reason in
    the log. It ends at once: Python would take PyTorch apart for a second, perhaps under a thread that hangs.
    """
    stop = StopRequest()  # before anything large is imported: seconds in which a signal may come
    stop.at_once = True
    status = 1
    try:
        status = _start(stop, args, kind)
    except SystemExit:
        status = 0
    except BaseException as error:  # noqa: BLE001 (what nobody foresaw: said, and the process ends)
        if isinstance(error.__cause__, SystemExit):  # as Python 3.11.2 may hand on what a signal raised
            status = 0
        else:
            traceback.print_exc()
    stop.finished()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _start(stop: StopRequest, args: list[str] | None, kind: type[SegmentationNode] | None) -> int:
    suit_images()
    gc.disable()  # what starting makes stays: looking through it again and again takes a tenth of a second
    number, size = remove_orphans()
    if number:
        sys.stderr.write(
            f'segmentation_node: removed {size / 1e6:.0f} MB of shared memory of killed processes\n'
        )
    if not start_ros('segmentation_node', args):
        return 1
    try:
        return _run(stop, args, kind)
    finally:
        import rclpy

        rclpy.try_shutdown()
        gc.collect()  # with the last of the node its shared memory goes


def _run(stop: StopRequest, args: list[str] | None, kind: type[SegmentationNode] | None) -> int:
    from rclpy.executors import SingleThreadedExecutor

    from vss_ros.node.parameter_files import files_for_others
    from vss_ros.node.segmentation_node import SUCCESS, SegmentationNode

    try:
        node = (kind or SegmentationNode)()
    except Exception as error:  # noqa: BLE001 (parameters, names, the middleware: all end the node)
        sys.stderr.write(f'segmentation_node: {error}\n')
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        for said in files_for_others(sys.argv if args is None else args, node.get_fully_qualified_name()):
            node.get_logger().warning(said)
        wanted = bool(node.get_parameter('autostart').value)
        if wanted and not (node.trigger_configure() == SUCCESS and node.trigger_activate() == SUCCESS):
            return 1
        gc.enable()
        if not wanted:
            node.get_logger().info(
                f'waits for: ros2 lifecycle set {node.get_fully_qualified_name()} configure'
            )
        stop.at_once = False
        while not stop.requested and node.exit_status is None:
            executor.spin_once(timeout_sec=LOOK_S)
    finally:
        stop.at_once = False
        node.stop(STOP_S)
        executor.remove_node(node)
        node.destroy_node()
        executor.shutdown()
    return node.exit_status or 0


if __name__ == '__main__':
    main()
