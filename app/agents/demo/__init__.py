"""The demo agent, its model and its tools."""
