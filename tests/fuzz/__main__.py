"""Random programs against PyTorch, as many as wanted: `python -m tests.fuzz --programs 20000 --seed 0`."""

import argparse
import collections
import sys
import time
import warnings

from .programs import DisagreementError, check, shrunk, written


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first program")
    parser.add_argument("--compiled", action="store_true", help="beside eager runs, rather than these beside PyTorch")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.compiled:
        return compiled_programs(options)
    operations: collections.Counter = collections.Counter()
    disagreements, started = 0, time.time()
    for number in range(options.first, options.first + options.programs):
        program = None
        try:
            program = written(options.seed, number)
            operations.update(step.operation for step in program.steps)
            check(program)
        except DisagreementError as error:
            disagreements += 1
            print(f"program {number} of seed {options.seed}: {error}")
            if program is not None:
                print(f"shrunk to:\n{shrunk(program)}\n", flush=True)
        if (number + 1) % 1000 == 0:
            print(f"{number + 1 - options.first} programs, {disagreements} disagreements, {time.time() - started:.0f} s", flush=True)
    print(f"{options.programs} programs of {sum(operations.values())} operations ({len(operations)} kinds), {disagreements} disagreements")
    print("least used:", ", ".join(f"{name} {count}" for name, count in operations.most_common()[-8:]))
    return 1 if disagreements else 0


def compiled_programs(options: argparse.Namespace) -> int:
    """In blocks of ten, each one call of the C compiler."""
    from .compiled import check_block

    disagreements, skipped, started = 0, 0, time.time()
    for first in range(options.first, options.first + options.programs, 10):
        try:
            skipped += len(check_block(options.seed, range(first, min(first + 10, options.first + options.programs)), native=True))
        except DisagreementError as error:
            disagreements += 1
            print(f"{error}\n", flush=True)
        done = first + 10 - options.first
        if done % 100 == 0:
            print(f"{done} programs, {skipped} with arrays without elements, {disagreements} disagreements, {time.time() - started:.0f} s")
    return 1 if disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
