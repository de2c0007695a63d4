"""One small file a package: what its call means, as data, and how to make and step it."""
