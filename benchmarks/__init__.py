"""Compare Commonplace with its peers: the same work, on the same servers, in the same run."""
