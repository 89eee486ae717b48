"""What is made of an answer after its mask went out, in a thread of its own: clouds, the ground, pictures.

Each is made only while somebody subscribes to it, and what it needs is subscribed to only then.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import simplejpeg
from nav_msgs.msg import OccupancyGrid
from sensor_msgs.msg import CameraInfo, CompressedImage, PointCloud2
from std_msgs.msg import Header

from vss_ros.engine.tracks.worker import Worker
from vss_ros.errors import VssError
from vss_ros.images.cloud import depth_of, fill_cloud, points_from_depth, points_of
from vss_ros.images.ground import GroundView, kinds_of, shares
from vss_ros.images.pinhole import Pinhole
from vss_ros.msg import SceneSummary
from vss_ros.node.outputs.ground_pose import GroundPose
from vss_ros.node.outputs.inputs import Input, info_topic
from vss_ros.node.outputs.messages import CloudMessage, grid_message, polygons, scaled_info
from vss_ros.node.outputs.topics import create_output

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from rclpy.lifecycle import LifecycleNode

    from vss_ros.engine.frames import Frame, FrameResult
    from vss_ros.engine.options import NodeConfig
    from vss_ros.images.class_map import ClassMap

DRIVABLE = ('road', 'floor', 'drivable')
"""Classes that are drivable where the parameter names none."""
PATIENCE = 5
"""Answers that wait for their depth."""
ASPECT = 0.02
"""Share by which height : width of a camera_info and of the image may differ."""
JPEG_QUALITY = 80


class Answer(NamedTuple):
    """One image and what was found in it."""

    frame: Frame
    result: FrameResult
    header: Header


class Derived:
    """The topics of one stream that take more than a mask.

    Args:
        node: What publishes.
        config: The node's parameters.
        known: Names of the network's classes.
        classes: What they are published as.
        note: Called with a counter's name, what to add, and a sentence that says it.
        base: Of the topics' names.
        image_topic: Where the images come from, resolved.
    """

    def __init__(
        self,
        node: LifecycleNode,
        config: NodeConfig,
        known: tuple[str, ...],
        classes: ClassMap,
        note: Callable[[str, int, str], None],
        base: str,
        image_topic: str,
    ) -> None:
        self._node, self._config, self._classes, self._note = node, config, classes, note
        self._kinds = kinds_of(known, drivable_ids(config.drivable, known, classes))
        self._rectified = 'rect' in image_topic.rpartition('/')[2]
        kinds = {
            'camera_info': CameraInfo, 'ground': OccupancyGrid, 'scene': SceneSummary,
            'overlay/compressed': CompressedImage,
        }  # fmt: skip
        if config.depth_topic:
            kinds['points'] = PointCloud2
        self._publishers = {
            name: create_output(node, kind, f'{base}/{name}', note) for name, kind in kinds.items()
        }
        self._info = Input(node, config.camera_info_topic or info_topic(image_topic))
        self._depth = Input(node, config.depth_topic or 'depth', config.depth_slack, self._on_depth)
        self._pose = GroundPose(node, config)
        self._lock = threading.Lock()
        self._waiting: deque[Answer] = deque()
        self._cloud = CloudMessage()
        self._view: GroundView | None = None
        self._rays: tuple[Pinhole, NDArray[np.float32]] | None = None
        self._worker: Worker[dict[str, Callable[[], None]]] | None = None

    @property
    def confident(self) -> bool:
        """Whether somebody wants to know how sure the answers are."""
        return self._wanted('points')

    def _wanted(self, *names: str) -> bool:
        return any(
            self._publishers[name].get_subscription_count() for name in names if name in self._publishers
        )

    def follow(self) -> None:
        """Subscribe to what is needed now; called about once a second by the executor's thread."""
        ground = self._wanted('ground', 'scene')
        self._info.want(ground or self._wanted('camera_info', 'points'))
        self._depth.want(self._wanted('points'))
        self._pose.listen(ground)

    def offer(self, answer: Answer) -> None:
        """Take an answer whose mask has been published; returns at once."""
        wanted = {name for name, publisher in self._publishers.items() if publisher.get_subscription_count()}
        if not wanted:
            return
        if 'camera_info' in wanted:
            self._tried(partial(self._publish_info, answer))
        if 'points' in wanted:
            self._await_depth(answer)
        if wanted - {'camera_info', 'points'}:
            self._do('views', partial(self._publish_views, answer, wanted))

    def close(self) -> None:
        """Finish what is in hand and give the topics back."""
        self._info.want(wanted=False)
        self._depth.want(wanted=False)
        self._pose.listen(wanted=False)
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)

    # The thread.

    def _do(self, what: str, job: Callable[[], None]) -> None:
        """Let the thread do a job, in place of one of the same kind that it has not begun."""
        with self._lock:  # answers and depth come in different threads
            if self._worker is None:
                self._worker = Worker(
                    self._work, lambda *_: None, 'derived', lambda waiting, new: waiting | new
                )
            worker = self._worker
        worker.offer({what: job})

    def _work(self, jobs: dict[str, Callable[[], None]]) -> None:
        for job in jobs.values():
            self._tried(job)

    def _tried(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001 (said and counted; the masks go on)
            kind = '' if isinstance(error, VssError) else f'{type(error).__name__}: '
            self._note('outputs_failed', 1, f'{kind}{error}')

    # The camera's geometry.

    def _info_of(self, answer: Answer) -> Any:
        info = self._info.of(answer.frame.stamp_ns) or self._info.newest()
        if info is None:
            raise VssError(f'expected a camera_info on {self._info.topic}, got none; set camera_info_topic')
        height, width = answer.result.size
        if abs(info.height * width - height * info.width) > ASPECT * height * info.width:
            raise VssError(
                f'expected a camera_info of the image, {width}x{height}, got {info.width}x{info.height} on '
                f'{self._info.topic}; set camera_info_topic'
            )
        return info

    def _camera(self, answer: Answer, size: tuple[int, int]) -> Pinhole:
        return Pinhole.of(self._info_of(answer), rectified=self._rectified).scaled(size)

    def _publish_info(self, answer: Answer) -> None:
        message = scaled_info(self._info_of(answer), answer.result.size, answer.header)
        self._publishers['camera_info'].publish(message)

    # Clouds: an answer and its depth come in any order.

    def _await_depth(self, answer: Answer) -> None:
        with self._lock:
            self._waiting.append(answer)
            late = self._waiting.popleft() if len(self._waiting) > PATIENCE else None
        if late is not None:
            said = f'no depth on {self._depth.topic} within {self._config.depth_slack:g} s of an image'
            self._note('depth_missing', 1, f'{said}; align and synchronise the driver, or set depth_slack')
        self._on_depth(answer.frame.stamp_ns)

    def _on_depth(self, _: int) -> None:
        with self._lock:
            pairs = [(answer, self._depth.of(answer.frame.stamp_ns)) for answer in self._waiting]
            found = [pair for pair in pairs if pair[1] is not None]
            self._waiting = deque(answer for answer, depth in pairs if depth is None)
        if found:
            self._do('points', partial(self._publish_points, *found[-1]))

    def _publish_points(self, answer: Answer, depth: Any) -> None:
        frame, result, header = answer
        if hasattr(depth, 'encoding'):
            camera = self._camera(answer, result.size)
            if self._rays is None or self._rays[0] != camera:
                self._rays = camera, camera.rays()
            points = points_from_depth(depth_of(depth), camera, self._rays[1])
        else:
            points = points_of(depth)
            header = Header(stamp=header.stamp, frame_id=depth.header.frame_id)
        cloud = self._cloud.points(result.size)
        fill_cloud(cloud, points, frame.image, self._classes.labels(result.labels), result.confidence)
        self._cloud.message.header = header
        self._publishers['points'].publish(self._cloud.message)

    # The ground, and pictures.

    def _publish_views(self, answer: Answer, wanted: set[str]) -> None:
        frame, result, header = answer
        labels = self._classes.labels(result.labels)
        if 'overlay/compressed' in wanted:
            drawn = self._classes.table.blend(frame.image, labels)
            data = simplejpeg.encode_jpeg(drawn, quality=JPEG_QUALITY, colorspace='RGB')
            picture = CompressedImage(header=header, format='rgb8; jpeg compressed rgb8', data=data)
            self._publishers['overlay/compressed'].publish(picture)
        summary = SceneSummary(header=Header(stamp=header.stamp, frame_id=self._config.ground_frame))
        if wanted & {'ground', 'scene'}:
            self._tried(partial(self._publish_ground, answer, summary))
        if 'scene' in wanted:
            summary.class_names = list(self._classes.table.names)
            summary.shares = shares(labels, len(self._classes.table))
            self._publishers['scene'].publish(summary)

    def _publish_ground(self, answer: Answer, summary: SceneSummary) -> None:
        labels, config = answer.result.labels, self._config
        camera = self._camera(answer, (labels.shape[0], labels.shape[1]))
        pose = self._pose.of(answer.header)
        if self._view is None or not self._view.fits(camera, pose):
            self._view = GroundView(camera, pose, config.ground_reach, config.ground_cell)
        cells = self._view.cells(labels, self._kinds)
        if self._wanted('ground'):
            self._publishers['ground'].publish(grid_message(cells, self._view, summary.header))
        if self._wanted('scene'):
            summary.drivable = polygons(self._view.outlines(cells))


def drivable_ids(text: str, known: tuple[str, ...], classes: ClassMap) -> list[int]:
    """Return the network's ids of the classes that a parameter names, by its names or published ones.

    Raises:
        VssError: One of them is neither.
    """
    names = [name.strip() for name in text.split(',') if name.strip()]
    given = {name: [known.index(name)] for name in known} | {
        name: classes.parts(name).tolist() for name in classes.table.names if name not in known
    }
    unknown = [name for name in names if name not in given]
    if unknown:
        raise VssError(
            f'drivable: expected classes of the model ({", ".join(known)}), got {", ".join(unknown)}'
        )
    return [number for name in names or DRIVABLE if name in given for number in given[name]]
