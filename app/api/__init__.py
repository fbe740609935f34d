"""The HTTP faces of the service: they translate, and decide nothing."""
