"""The classifier as plain arrays, and the ways into and out of KerasHub's own."""
