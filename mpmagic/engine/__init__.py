"""Engines: where the work of ``%%parallel`` runs, by what ``--on`` names."""
