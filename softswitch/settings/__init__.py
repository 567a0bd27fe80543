"""Settings: `models` (what operators write), `loader` (directory -> `Loaded` or `ConfigError`), `secrets`,
`schema`.

Empty of imports on purpose: the dialplan's models use `settings.fields`, and `settings.models` the
dialplan's.
"""
