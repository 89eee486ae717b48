"""Recordings as frames with masks: bags, videos, folders of images; and bags as messages to be played.

Read ``source`` (what a source is, which mask belongs to which frame) and ``open`` (which one a path is),
then a kind each: ``image_folder``, ``video_file``, ``camera_bag``. ``bags`` reads and
writes rosbag2 bags without ROS, ``messages`` makes camera messages, ``playback`` is what a player sends.
``checked_bag`` opens bags that may be damaged; ``salvage`` reads what is left of their files.
"""
