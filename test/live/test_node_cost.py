"""What the node costs beside the network, measured on a real node over real DDS."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

from vss_ros.live.node_cost import measure_node_cost, table
from vss_ros.live.node_start import measure_node_start
from vss_ros.live.node_start import table as table_of_starts

STAGES = ('take', 'wait', 'decode', 'mask', 'publish')


@pytest.mark.usefixtures('ros_domain')
def test_stages_add_up_and_masks_arrive() -> None:
    (cost,) = measure_node_cost(sizes=[(96, 128)], overlays=[True], frames=30, ticker=True)
    assert (cost.height, cost.width, cost.overlay, cost.sent) == (96, 128, True, 40)
    assert 0.25 < cost.delivered <= 1.0  # what is compared below; a busy machine may leave out the others
    stages = cost.stages_ms
    # Medians do not add up exactly; the worst of all is no worse than the worst of each together.
    assert 0.0 < stages['beyond']['p50'] <= sum(stages[name]['max'] for name in STAGES)
    assert stages['beyond']['max'] >= max(stages[name]['max'] for name in STAGES)
    assert 0.0 < cost.cpu_beyond_ms < cost.cpu_ms
    assert cost.late_ms['max'] > 0.0
    assert cost.idle_late_ms['max'] > 0.0
    assert cost.late_ms != cost.idle_late_ms
    assert '| 128x96 | yes |' in table([cost])


@pytest.mark.slow
@pytest.mark.usefixtures('ros_domain')
def test_memory_stays_flat_over_large_images() -> None:
    (cost,) = measure_node_cost(sizes=[(1080, 1920)], overlays=[True], frames=300)
    first, last = cost.resident_mb
    # An image has 6 MB: 300 that were kept would be 1.9 GB, and one in thirty 60 MB.
    assert last - first < 30.0, cost


@pytest.mark.slow
@pytest.mark.usefixtures('ros_domain')
def test_a_later_start_computes_less_than_the_first() -> None:
    first, later = measure_node_start(parameters=['size:=192x256', 'threads:=1'])
    assert (first.first, later.first) == (True, False)
    assert 0 < later.cpu_s < first.cpu_s  # it measures and compiles nothing
    assert 0 < later.private_mb < later.resident_mb
    assert '| later | ' in table_of_starts([first, later])
