"""A bug report: what helps to find a defect, and nothing that somebody wrote, owns or is called."""
