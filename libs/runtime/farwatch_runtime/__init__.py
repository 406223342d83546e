"""What every Farwatch process needs: settings, logging, signals, health and metrics, the secret box, the clock."""
