"""The most accurate parameters within a budget of latency: ``tune`` searches, ``drive`` plays a recording."""
