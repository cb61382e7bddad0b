"""One file for each version, named by its number and what it brings."""
