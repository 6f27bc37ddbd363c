"""Uncertainty, claims and verdicts, the ledger, figures with provenance, tables, the review."""
