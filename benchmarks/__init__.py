"""Commonplace beside its peers: the same work, on the same servers, in the same run."""
