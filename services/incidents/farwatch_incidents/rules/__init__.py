"""What "down" means: pure functions over frozen values, with `now_ms` as an argument and a reason in every answer."""
