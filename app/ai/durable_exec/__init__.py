"""Durable runs for programs that use the library without the Holdfast service, one package per engine."""
