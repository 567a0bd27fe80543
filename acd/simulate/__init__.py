"""The simulator: the engine on a virtual clock, with people played by seeded generators: `docs/simulation.md`."""
