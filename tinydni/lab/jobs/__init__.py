"""The jobs a user can run: data, network, recipe and report of each, one per file."""
