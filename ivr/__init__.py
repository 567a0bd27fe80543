"""Validated IVR flow graphs and their pure interpreter: input -> effects. Empty until the IVR is built."""
