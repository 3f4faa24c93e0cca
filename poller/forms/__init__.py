from typing import Any


def __getattr__(name: str) -> Any:
    """Make the application when `uvicorn poller.forms:app` asks for it."""
    if name != "app":
        raise AttributeError(name)
    from poller.forms.app import app_of_working_directory  # noqa: PLC0415  no module of the package needs it

    # The import has set `app` to the module of that name. uvicorn asks twice, and needs the application each time.
    app = globals()["app"] = app_of_working_directory()
    return app
