"""Agents, queues, skills, matching and KPIs: a pure engine, event -> effects. Empty until the ACD is built."""
