"""Diagnosis: from what a machine's own commands said to the causes that keep it from RDMA or from its cluster."""
