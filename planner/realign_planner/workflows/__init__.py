"""The four workflows as data, one module each."""
