"""Tools of other frameworks. Nothing here imports those frameworks."""
