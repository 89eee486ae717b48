"""The simulated drive through the real node, in three dimensions: clouds and ground maps beside the truth.

Sends images, exact depth and camera_info over DDS, takes ``~/points``, ``~/ground`` and ``~/scene`` and
writes cloud.png, ground.png and summary.json. The exit status is 1 where a figure is worse than it has to be.

Example:
  make demo-3d                                            into demo-3d-output/
  tools/run python -m experiments.demo_3d -o out --seed 7 --frames 8
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from nav_msgs.msg import OccupancyGrid
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from experiments.robot import image_message, robot
from simulator import Label, render_drive
from vss_ros.command_line import add, new_parser, run_program
from vss_ros.files import write_json, write_png
from vss_ros.images.classes import load_classes
from vss_ros.images.cloud import POINT
from vss_ros.images.ground import FREE, GroundView, kinds_of
from vss_ros.msg import SceneSummary
from vss_ros.node.conversions import stamp_to_ns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from experiments.robot import Robot
    from simulator import StreetFrame
    from simulator.truth import Truth

START_NS, STEP = 10**9, 5
"""Stamp of the first image; of the drive's frames every fifth is shown."""
MOST_POINT_M, LEAST_AGREEMENT = 0.02, 0.9
METRE = 24
"""Pixels a metre in pictures of the ground."""
KINDS = {'mask': Image, 'points': PointCloud2, 'ground': OccupancyGrid, 'scene': SceneSummary}


def send(bench: Robot, frame: StreetFrame, info: Any, depth: Any, got: dict[str, dict[int, Any]]) -> int:
    """Send a frame and wait for all that is made of it; returns its stamp."""
    truth = frame.truth
    assert truth is not None
    stamp = START_NS + frame.stamp_ns
    (height, width), camera = frame.labels.shape, truth.camera
    header = image_message(frame.image, stamp).header
    k = camera.matrix.reshape(-1)
    info.publish(
        CameraInfo(
            header=header, height=height, width=width, distortion_model='plumb_bob', d=[0.0] * 5, k=k,
            r=np.eye(3).reshape(-1), p=np.insert(k, [3, 6, 9], 0.0),
        )
    )  # fmt: skip
    pixels = np.nan_to_num(truth.depth, nan=0.0)
    depth.publish(
        Image(
            header=header, height=height, width=width, encoding='32FC1', step=4 * width, data=pixels.tobytes()
        )
    )
    bench.camera.publish(image_message(frame.image, stamp))
    bench.wait(lambda: all(stamp in messages for messages in got.values()), f'what is made of image {stamp}')
    return stamp


def compare(frame: StreetFrame, found: dict[str, Any]) -> dict[str, float]:
    """Return how far what was received is from the truth."""
    truth = frame.truth
    assert truth is not None
    cloud, mask = (
        decoded(found['points']),
        np.frombuffer(found['mask'].data, np.uint8).reshape(frame.labels.shape),
    )
    right, up, ahead = truth.view.axes
    points = np.stack([cloud[name] for name in 'xyz'], -1).astype(float)
    places = points @ np.stack([right, -up, ahead]) + truth.view.eye
    shown = np.isfinite(truth.depth)
    view, cells = ground_of(found['ground'], truth)
    exact = view.cells(frame.labels, kinds_of([label.name.lower() for label in Label], [Label.ROAD]))
    return {
        'labels_differ_from_mask': int((cloud['label'] != mask).sum()),
        'points_m_worst': float(np.linalg.norm(places - truth.places(), axis=-1)[shown].max()),
        'points_missing': int((shown != np.isfinite(points[..., 2])).sum()),
        'mask_agrees': float((mask == frame.labels).mean()),
        'ground_agrees': truth.agreement(view, cells),
        'ground_agrees_true_mask': truth.agreement(view, exact),
        'drivable_m2': float((cells == FREE).sum() * view.cell**2),
        'outlines': len(found['scene'].drivable),
    }


def decoded(message: PointCloud2) -> NDArray[np.void]:
    """Return a cloud's points."""
    return np.frombuffer(message.data, POINT).reshape(message.height, message.width)


def ground_of(message: OccupancyGrid, truth: Truth) -> tuple[GroundView, NDArray[np.int8]]:
    """Return a map's cells, and the same view of the ground from where the camera truly was."""
    view = GroundView(
        truth.camera, truth.pose, message.info.resolution * message.info.width, message.info.resolution
    )
    return view, np.array(message.data, np.int8).reshape(message.info.height, message.info.width)


def draw_cloud(message: PointCloud2, reach: float = 30.0) -> NDArray[np.uint8]:
    """Return a cloud seen from above and behind, in the classes' colours, RGB."""
    table, cloud = load_classes('camvid11'), decoded(message)
    colours = table.colourise(cloud['label'].astype(np.uint8)).reshape(-1, 3)
    points = np.stack([cloud[name] for name in 'xyz'], -1).reshape(-1, 3)
    near = np.isfinite(points[:, 2]) & (points[:, 2] < reach)
    points, colours = points[near].astype(float), colours[near]
    eye, tilt = np.array([0.0, -9.0, -6.0]), 0.55
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    seen = (points - eye) @ turn.T
    order = np.argsort(-seen[:, 2])
    picture = np.full((480, 640, 3), 24, np.uint8)
    for (x, y, z), colour in zip(seen[order], colours[order], strict=True):
        at = int(320 + 420 * x / z), int(290 + 420 * y / z)
        size = 1 if z > 14 else 2
        cv2.rectangle(picture, at, (at[0] + size, at[1] + size), colour.tolist(), -1)
    return picture


def draw_ground(found: dict[str, Any], frame: StreetFrame) -> NDArray[np.uint8]:
    """Return the map that was received with its outlines beside the true one, ahead is up, RGB."""
    assert frame.truth is not None
    view, cells = ground_of(found['ground'], frame.truth)
    exact = view.cells(frame.labels, kinds_of([label.name.lower() for label in Label], [Label.ROAD]))
    colours = np.zeros((256, 3), np.uint8)
    colours[[0, 100, 255]] = (96, 176, 96), (176, 80, 72), (48, 48, 48)
    side = round(view.side * view.cell * METRE)
    drawn = []
    for number, grid in enumerate((cells, exact)):
        large = cv2.resize(colours[grid.astype(np.uint8)], (side, side), interpolation=cv2.INTER_NEAREST)
        if not number:
            lines = [
                np.array([(p.x, p.y) for p in line.points]) - view.origin for line in found['scene'].drivable
            ]
            cv2.polylines(
                large, [np.round(line * METRE).astype(np.int32) for line in lines], True, (255, 255, 255), 2
            )
        drawn.append(cv2.rotate(large, cv2.ROTATE_90_COUNTERCLOCKWISE)[:, ::-1])
    return np.concatenate(drawn, 1)


def main() -> int:
    """Run the demo; returns the exit status."""
    return run_program('demo-3d', lambda: _run(_parse()))


def _parse() -> Any:
    parser = new_parser('demo-3d', __doc__)
    add(parser, '-o --output DIR', 'where pictures and figures go', Path('demo-3d-output'))
    add(parser, '--seed N', 'which drive', 52)
    add(parser, '--frames N', 'how many images, three a second', 4)
    return parser.parse_args()


def _keep(kept: dict[int, Any], message: Any) -> None:
    kept[stamp_to_ns(message.header.stamp)] = message


def _run(args: Any) -> int:
    args.output.mkdir(parents=True, exist_ok=True)
    frames = list(render_drive(args.seed, (args.frames - 1) * STEP + 1, every=STEP, truth=True))
    poses = [frame.truth for frame in frames if frame.truth]
    height = float(np.mean([truth.view.eye[2] for truth in poses]))
    pitch = float(np.mean([-np.arcsin(truth.view.axes[2, 2]) for truth in poses]))
    words = ['depth_topic:=/depth', f'camera_height:={height}', f'camera_pitch:={pitch}', 'propagation:=none']
    words.append('track:=blocking')  # a few images a second: every mask is the network's own
    rows, pictures = [], []
    with robot(args.output, *words) as bench:
        got: dict[str, dict[int, Any]] = {name: {} for name in KINDS}
        for name, kind in KINDS.items():
            keep = partial(_keep, got[name])
            bench.create_subscription(kind, f'/segmentation/{name}', keep, 10)
        info, depth = (
            bench.create_publisher(CameraInfo, '/camera_info', 10),
            bench.create_publisher(Image, '/depth', 10),
        )
        bench.wait(
            lambda: info.get_subscription_count() and depth.get_subscription_count(), 'the node to subscribe'
        )
        for frame in frames:
            stamp = send(bench, frame, info, depth, got)
            found = {name: messages[stamp] for name, messages in got.items()}
            rows.append(compare(frame, found))
            pictures.append((frame, found))
    frame, found = pictures[len(pictures) // 2]
    write_png(
        args.output / 'cloud.png',
        np.concatenate([cv2.resize(frame.image, (640, 480)), draw_cloud(found['points'])], 1),
    )
    write_png(args.output / 'ground.png', draw_ground(found, frame))
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    worst = {
        'labels_differ_from_mask': max(row['labels_differ_from_mask'] for row in rows),
        'points_m_worst': max(row['points_m_worst'] for row in rows),
        'ground_agrees': min(row['ground_agrees'] for row in rows),
    }  # fmt: skip
    write_json(
        args.output / 'summary.json', {'mean': mean, 'worst': worst, 'frames': rows, 'pose': [height, pitch]}
    )
    share = {name: f'{100 * mean[name]:.1f} %' for name in ('ground_agrees', 'ground_agrees_true_mask')}
    print(
        f'{len(rows)} images: the cloud is within {1e3 * worst["points_m_worst"]:.2f} mm of the truth, '
        f"its labels are the mask's\nground within 15 m as on the true map: {share['ground_agrees']} (worst "
        f'image {100 * worst["ground_agrees"]:.1f} %), with true masks and poses '
        f'{share["ground_agrees_true_mask"]}\n{args.output}: cloud.png, ground.png, summary.json'
    )
    good = worst['points_m_worst'] <= MOST_POINT_M and not worst['labels_differ_from_mask']
    return 0 if good and mean['ground_agrees'] >= LEAST_AGREEMENT else 1


if __name__ == '__main__':
    sys.exit(main())
