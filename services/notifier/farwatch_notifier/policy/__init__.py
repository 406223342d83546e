"""Whom to tell, when and together with what: policies applied to incidents. Pure."""
