"""The commands of realignctl, each thin: options in, one call of the library, lines or JSON out."""
