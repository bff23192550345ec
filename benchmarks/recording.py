"""What recording an operation costs."""

import statistics

from worker import timed


def measure_recording(rounds: int, seconds: float) -> dict[str, float]:
    """The time of a recorded multiplication of (32, 16) tensors, and of NumPy's own, in microseconds."""
    import micrograd_plus as mg

    x, y = mg.randn(32, 16, requires_grad=True), mg.randn(32, 16, requires_grad=True)
    a, b = x.data, y.data
    repeat = range(100)

    def recorded() -> None:
        for _ in repeat:
            x * y

    def plain() -> None:
        for _ in repeat:
            a * b

    pairs = [(timed(recorded, seconds) / 100, timed(plain, seconds) / 100) for _ in range(rounds)]
    return {
        "recorded_us": statistics.median(p[0] for p in pairs),
        "numpy_us": statistics.median(p[1] for p in pairs),
        "overhead_us": statistics.median(p[0] - p[1] for p in pairs),
    }
