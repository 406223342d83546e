"""Incidents: folds results into votes, verdicts and incidents, and keeps their history.

`rules` decides, purely; `board` holds what one fold knows; everything else stands around them and does the I/O.
"""
