"""Models: weights that come from the hub or from another node, are checked, and go again."""
