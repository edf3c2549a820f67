"""Modes and models included with the package."""
