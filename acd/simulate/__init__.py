"""The simulator: the engine itself on a virtual clock, with people played by seeded generators. `docs/simulation.md`."""
