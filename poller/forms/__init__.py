from typing import Any


def __getattr__(name: str) -> Any:
    """Make the application when `uvicorn poller.forms:app` asks for it."""
    if name != "app":
        raise AttributeError(name)
    from poller.forms.asgi import app_of_working_directory  # noqa: PLC0415  no module of the package needs it

    app = globals()["app"] = app_of_working_directory()  # uvicorn asks twice, for one application
    return app
