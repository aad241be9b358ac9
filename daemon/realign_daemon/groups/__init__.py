"""Groups: several nodes that hold one model together; the head asks, the others follow."""
