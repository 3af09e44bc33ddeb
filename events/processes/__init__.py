"""The processes of the system: that they are there, and whether they get on with their work."""
