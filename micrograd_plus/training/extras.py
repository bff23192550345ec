"""What to say when an optional library is missing."""

from importlib.util import find_spec


def require_extra(extra: str, *modules: str) -> None:
    """Raise ModuleNotFoundError, naming the extra to install, where one of its modules is missing."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ModuleNotFoundError(f'{" and ".join(missing)} {verb} needed, but not installed. Run: pip install "micrograd-plus[{extra}]"')
