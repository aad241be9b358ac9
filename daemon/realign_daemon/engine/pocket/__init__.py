"""The pocket model: a language model small enough to ship, and the closed world that it lives in."""
