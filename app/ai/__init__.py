"""The agent core: `from app.ai import Agent`."""
