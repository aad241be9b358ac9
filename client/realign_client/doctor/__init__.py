"""Doctor: asks this machine and its daemon, and keeps what they said. What it means is decided in the planner."""
