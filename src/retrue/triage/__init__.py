"""Broken or changed? A window is triaged before anything is learned from it."""

from retrue.triage.result import Finding, Triage
from retrue.triage.sides import Side, look
from retrue.triage.verdict import triage

__all__ = ["Finding", "Side", "Triage", "look", "triage"]
