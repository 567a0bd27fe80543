"""Codecs: payloads to samples and back."""
