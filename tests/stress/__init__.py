"""Tests that take too long for every day: thousands of interrupts, kills and damaged files.  See README.md."""
