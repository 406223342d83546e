"""What templates need to say things well. Pure."""
