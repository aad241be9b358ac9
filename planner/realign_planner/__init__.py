"""Pure decisions of the cluster: facts in, values out. Imports the standard library only."""
