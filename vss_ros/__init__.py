"""Low-latency semantic segmentation of camera streams for ROS 2."""

from pkgutil import extend_path

__version__ = '0.1.0'

# In a source checkout the generated vss_ros.msg lies in another folder (colcon's install space);
# without this line the checkout, first on sys.path, would hide it.
__path__ = extend_path(__path__, __name__)
