"""What people read: values in, lines of text out. Pure."""
