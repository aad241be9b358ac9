"""realignd: everything of the cluster that performs. Decisions live in realign_planner."""
