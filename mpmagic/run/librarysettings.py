"""Settings of numpy, pandas and other libraries that change what the same code gives.

What is at its default isn't sent: a worker that needn't change anything needn't import them.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, Final

from mpmagic.run.setting import Remembered, Setting

__all__ = ["PRINTING", "SETTINGS", "THREADS_OWN"]

_OF_THE_SCREEN: Final = ("backend", "backend_fallback", "interactive", "toolbar")
"""Parameters of matplotlib's that belong to the kernel alone."""

_DOUBLE: Final[dict[str, int]] = {"mp": 53, "iv": 53}


def _print_options() -> dict[str, Any] | None:
    numpy = sys.modules.get("numpy")
    return None if numpy is None else dict(numpy.get_printoptions())


def _change_print_options(_: Any, wanted: dict[str, Any]) -> None:
    import numpy as np

    np.set_printoptions(**wanted)


def _pandas_options() -> dict[str, Any] | None:
    config = sys.modules.get("pandas._config.config")
    return None if config is None else _of_pandas.within(config._global_config)


def _find_pandas_options() -> dict[str, Any]:
    config: Any = sys.modules["pandas._config.config"]
    found = {}
    for name, option in config._registered_options.items():
        value = config._global_config
        for part in name.split("."):
            value = value[part]
        if _is_other(value, option.defval):
            found[name] = value
    return found


def _change_pandas_options(now: dict[str, Any] | None, wanted: dict[str, Any]) -> None:
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the kernel was told what is deprecated
        for name in (now or {}).keys() - wanted.keys():
            pd.reset_option(name)
        for name, value in wanted.items():
            pd.set_option(name, value)


def _plot_parameters() -> dict[str, Any] | None:
    parameters = getattr(sys.modules.get("matplotlib"), "rcParams", None)
    # None while its import is under way, or if that has failed.
    return None if parameters is None else _of_matplotlib.within(parameters)


def _plain(parameters: Any) -> dict[str, Any]:
    """The class's own access looks for what is deprecated, and resolves the backend."""
    return dict(dict.items(parameters))


def _find_plot_parameters() -> dict[str, Any]:
    matplotlib: Any = sys.modules["matplotlib"]
    defaults = _plain(matplotlib.rcParamsDefault)
    return {
        name: value
        for name, value in _plain(matplotlib.rcParams).items()
        if _is_other(value, defaults.get(name)) and name not in _OF_THE_SCREEN
    }


def _change_plot_parameters(now: dict[str, Any] | None, wanted: dict[str, Any]) -> None:
    import matplotlib as mpl

    parameters: Any = mpl.rcParams
    defaults: Any = mpl.rcParamsDefault
    back = {name: dict.get(defaults, name) for name in (now or {}).keys() - wanted.keys()}
    dict.update(parameters, {**back, **wanted})


def _sklearn_configuration() -> dict[str, Any] | None:
    module = sys.modules.get("sklearn._config")
    if module is None:
        return None
    defaults = module._global_config
    return {n: v for n, v in module.get_config().items() if _is_other(v, defaults.get(n))}


def _change_sklearn_configuration(now: dict[str, Any] | None, wanted: dict[str, Any]) -> None:
    import sklearn
    from sklearn import _config

    back = {name: _config._global_config[name] for name in (now or {}).keys() - wanted.keys()}
    sklearn.set_config(**back, **wanted)


def _precisions() -> dict[str, int] | None:
    module = sys.modules.get("mpmath")
    if module is None or not hasattr(module, "iv"):
        return None
    return {"mp": module.mp.prec, "iv": module.iv.prec}


def _change_precisions(_: Any, wanted: dict[str, int]) -> None:
    import mpmath

    mpmath.mp.prec, mpmath.iv.prec = wanted["mp"], wanted["iv"]


def _is_other(value: Any, default: Any) -> bool:
    return value is not default and (type(value) is not type(default) or bool(value != default))


_of_pandas: Final = Remembered(_find_pandas_options)
_of_matplotlib: Final = Remembered(_find_plot_parameters)

_NUMPYS: Final = {
    "edgeitems": 3, "threshold": 1000, "floatmode": "maxprec", "precision": 8, "suppress": False,
    "linewidth": 75, "nanstr": "nan", "infstr": "inf", "sign": "-", "formatter": None,
    "legacy": False, "override_repr": None,
}  # fmt: skip
"""Those of numpy's second version. Where others are the default, workers import numpy at once."""

PRINTING: Final = Setting("numpy's print options", _print_options, _change_print_options, _NUMPYS)
_SKLEARN: Final = Setting(
    "scikit-learn's configuration", _sklearn_configuration, _change_sklearn_configuration, {}
)

THREADS_OWN: Final = (PRINTING, _SKLEARN)
"""Those that a thread has of its own (numpy's from its second version on)."""

SETTINGS: Final = (
    PRINTING,
    Setting("pandas' options", _pandas_options, _change_pandas_options, {}),
    Setting("matplotlib's parameters", _plot_parameters, _change_plot_parameters, {}),
    _SKLEARN,
    Setting("the precision of `mpmath`", _precisions, _change_precisions, _DOUBLE),
)
