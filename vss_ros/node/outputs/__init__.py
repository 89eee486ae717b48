"""What the node publishes of an answered image.

Read ``outputs`` first: the topics of one stream and what an answer goes through; ``topics`` has how each of
them is offered.
"""
