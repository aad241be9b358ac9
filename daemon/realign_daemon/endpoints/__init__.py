"""Engines that are not ours: servers that speak OpenAI's API, as engines of a node."""
