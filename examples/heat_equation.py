"""A network that solves the heat equation: regression on a law of physics instead of data.

    python examples/heat_equation.py

u(t, x) of a rod whose ends are held at 0 and which starts as sin(pi x) obeys du/dt = k d2u/dx2; the exact solution is
exp(-k pi^2 t) sin(pi x). The network is asked to obey the law at random points; its derivatives come from `jacobian`, and are
differentiated again for training (Raissi et al., 2019).

Result: u right to 0.001 everywhere after 1,500 steps, in 5 seconds.
"""

import argparse
import time

import numpy as np

from micrograd_plus import Adam, CosineAnnealingLR, Linear, Sequential, Tanh, Tensor, concatenate, jacobian, no_grad, set_seed

K = 0.1  # diffusivity


def solution(model: Sequential, t: Tensor, x: Tensor) -> Tensor:
    """u(t, x), t and x of shape (N, 1): at t = 0 and at both ends right by construction."""
    return (np.pi * x).sin() + t * x * (1 - x) * model(concatenate([t, x], axis=1))


def residual(model: Sequential, t: Tensor, x: Tensor) -> Tensor:
    """du/dt - K d2u/dx2 at N points.

    Point n of the output depends on point n of the input only: summed over the output, the Jacobian's one row holds every
    point's own derivative.
    """

    def total(t: Tensor, x: Tensor) -> Tensor:
        return solution(model, t, x).sum()

    du_dt, du_dx = jacobian(total, argnums=0), jacobian(total, argnums=1)
    d2u_dx2 = jacobian(lambda t, x: du_dx(t, x).sum(), argnums=1)
    return du_dt(t, x) - K * d2u_dx2(t, x)


def main() -> float:
    """Train, and return the largest error of u on a grid."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--points", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    set_seed(options.seed)
    generator = np.random.default_rng(options.seed)
    model = Sequential(Linear(2, 32), Tanh(), Linear(32, 32), Tanh(), Linear(32, 1))
    optimizer = Adam(model.parameters(), lr=0.005)
    schedule = CosineAnnealingLR(optimizer, options.steps)
    started = time.perf_counter()
    for step in range(options.steps):
        t, x = map(Tensor, generator.random((2, options.points, 1)))
        optimizer.zero_grad()
        loss = (residual(model, t, x) ** 2).mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 250 == 0:
            print(f"step {step + 1}: mean squared residual {loss.item():.1e}, {time.perf_counter() - started:.0f} s")
    t, x = (grid.reshape(-1, 1) for grid in np.meshgrid(np.linspace(0, 1, 41), np.linspace(0, 1, 41)))
    with no_grad():
        u = solution(model, Tensor(t), Tensor(x)).data
    error = float(np.abs(u - np.exp(-K * np.pi**2 * t) * np.sin(np.pi * x)).max())
    print(f"largest error on a grid: {error:.1e} (u is between 0 and 1)")
    return error


if __name__ == "__main__":
    main()
