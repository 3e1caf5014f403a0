"""Tests of flows on a real stack."""
