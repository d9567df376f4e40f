"""`make bench`: every section, one after the other; BENCH=name,name chooses. Exit status 1 where a target is missed.

A section is a module of this folder with a command line of its own: `python -m bench.decisions --help`.
"""

import importlib.util
import os
import subprocess
import sys

SECTIONS = {
    "calls": "what a caller waits for, and what a call costs",
    "decisions": "durable dial decisions per second, against procrastinate and pgqueuer",
    "imports": "contacts imported per second, against pandas to_sql and a loop of rows",
    "claims": "claim time at ten million contacts against ten thousand",
}


def main() -> int:
    there = [name for name in SECTIONS if importlib.util.find_spec(f"bench.{name}")]
    chosen = [word.strip() for word in os.environ.get("BENCH", "").split(",") if word.strip()] or there
    if unknown := [name for name in chosen if name not in there]:
        print(f"no section is called {', '.join(unknown)}; there are: {', '.join(there)}")
        return 2
    missed: list[str] = []
    for name in chosen:
        print(f"\n== {name}: {SECTIONS[name]}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}"]).returncode:
            missed.append(name)
    if missed:
        print(f"\nnot as it should be: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
