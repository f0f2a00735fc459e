"""campaignd sends email campaigns and knows what became of every recipient."""

__version__ = "0.1.0"
