import sys

from farwatch_prober.app import serve
from farwatch_prober.settings import ProberSettings
from farwatch_runtime.service import run

if __name__ == "__main__":
    sys.exit(run("prober", ProberSettings, serve))
