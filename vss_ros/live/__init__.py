"""Live runs: a recording played to a real node over DDS, and what the node answers recorded and scored.

``player`` publishes a recording and ``recorder`` writes topics into a bag; both are nodes of their own.
``observer`` is the recorder that watches a run; ``run`` starts node and player and puts all together;
``received`` reads the recorded bag again. On these rest ``jobs`` with ``scoring`` (``vss evaluate --live``)
and ``demo`` (``make demo``). ``node_cost`` measures what the node costs beside the network: a ``timed_node``
segments what a ``still_camera`` shows.
"""
