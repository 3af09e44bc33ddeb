"""Dramatiq as its guide has it: an actor a queue, a message an event, small arguments."""
