"""From any table to a problem definition with suites: profile, guess, propose, write."""
